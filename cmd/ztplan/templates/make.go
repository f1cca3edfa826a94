package templates

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"
)

// Make gives values to the variables that have none and are to be made: "random", 32
// random digits; or "age identity", whose file is the value of the variable identity,
// in dir, readable by its owner only, and whose recipient is the value. It returns the
// names of the files. A file that exists is an error, and then none is left.
func (t Template) Make(dir string, values map[string]string) (made []string, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, Remove(made))
			made = nil
		}
	}()
	for _, v := range t.Variables {
		if _, given := values[v.Name]; given || v.Made == "" {
			continue
		}
		switch v.Made {
		case "random":
			digits := make([]byte, 16)
			_, _ = rand.Read(digits) // it never fails
			values[v.Name] = hex.EncodeToString(digits)
		case "age identity":
			id, err := age.GenerateX25519Identity()
			if err != nil {
				return made, err
			}
			name := filepath.Join(dir, t.Value("identity", values))
			text := fmt.Sprintf("# public key: %s\n%s\n", id.Recipient(), id)
			if err := WriteNew(name, []byte(text), 0o600); err != nil {
				return made, err
			}
			made = append(made, name)
			values[v.Name] = id.Recipient().String()
		default:
			return made, fmt.Errorf("template %s: variable %s: nothing makes %q", t.Name, v.Name, v.Made)
		}
	}
	return made, nil
}

// Value returns the value of a variable, or its default.
func (t Template) Value(name string, values map[string]string) string {
	if value, ok := values[name]; ok {
		return value
	}
	for _, v := range t.Variables {
		if v.Name == name {
			return v.Default
		}
	}
	return ""
}

// WriteNew writes a file that must not exist. It leaves nothing behind if it fails.
func WriteNew(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// Remove removes files that were made.
func Remove(names []string) error {
	var errs []error
	for _, n := range names {
		errs = append(errs, os.Remove(n))
	}
	return errors.Join(errs...)
}
