package unsealkeys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/ztplan/ztplan/engine"
)

// toAge encrypts to age recipients (https://age-encryption.org/v1).
type toAge []age.Recipient

// parseRecipient reads the recipients that need no program beside this one.
func parseRecipient(text string) (age.Recipient, error) {
	var r age.Recipient
	var err error
	switch {
	case strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-"):
		return nil, engine.WithHint(errors.New("is a secret key, and has to be taken for known from now on"),
			"make another with age-keygen, and write its recipient here, which begins with age1")
	case strings.HasPrefix(text, "age1pq1"):
		r, err = age.ParseHybridRecipient(text)
	default:
		r, err = age.ParseX25519Recipient(text)
	}
	if err != nil {
		return nil, engine.WithHint(errors.New("is not an age recipient"),
			"write what age-keygen -y prints, which begins with age1 or age1pq1; keys of plugins and of SSH are not supported")
	}
	return r, nil
}

// seal returns text as an armored age file.
func (to toAge) seal(text string) (string, error) {
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, to...)
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(w, text)
	if err := errors.Join(err, w.Close(), armored.Close()); err != nil {
		return "", err
	}
	return out.String(), nil
}

// wellFormed reports whether text begins as an armored age file does.
func wellFormed(text string) bool {
	_, err := age.ExtractHeader(armor.NewReader(strings.NewReader(text)))
	return err == nil
}

// openAge decrypts text. ok is false if it is for none of ids; an error means
// that it is for one of them, and damaged.
func openAge(text string, ids []age.Identity) (plain string, ok bool, err error) {
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(text)), ids...)
	var others *age.NoIdentityMatchError
	if errors.As(err, &others) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	out, err := io.ReadAll(r)
	return string(out), err == nil, err
}

// ReadIdentities reads a file of age identities, which others must not be able to
// read, and conceals them.
func ReadIdentities(f engine.File, conceal func(...engine.Secret)) ([]age.Identity, error) {
	text, err := f.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, engine.WithHint(engine.Permanent(fmt.Errorf("identity file %s does not exist", f)),
			"put it there, or leave it out of keys.identities: the custodians can unseal by hand then")
	}
	if err == nil {
		err = f.Exposed()
	}
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("identity file %w", err))
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "AGE-SECRET-KEY-") {
			conceal(engine.NewSecret(line))
		}
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		hint := "it must hold what age-keygen writes: lines that begin with AGE-SECRET-KEY-"
		if strings.HasPrefix(string(text), "age-encryption.org/") || strings.HasPrefix(string(text), armor.Header) {
			hint = "it is itself encrypted, and a run asks for no passphrase: decrypt it for the run, or unseal by hand"
		}
		return nil, engine.WithHint(engine.Permanent(fmt.Errorf("identity file %s holds no age identities", f)), hint)
	}
	return ids, nil
}
