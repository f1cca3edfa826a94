package adminapi

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"
)

// keyring is the first key of the keyring that every APISIX is shipped with
// (apisix.data_encryption.keyring): public knowledge, as the admin keys are.
const keyring = "qeddd145sfvddff3"

// Encrypted is a private key as answers of the Admin API have it: AES-128-CBC
// under the keyring's first key, which is the IV too, in base64. Equal keys are
// equal when they are encrypted. A text that is no PEM stays as it is: it is encrypted
// already.
func Encrypted(key string) string {
	if !strings.HasPrefix(key, "---") {
		return key
	}
	block, err := aes.NewCipher([]byte(keyring))
	if err != nil {
		panic(err) // the keyring has the right length
	}
	padding := aes.BlockSize - len(key)%aes.BlockSize
	text := []byte(key)
	for range padding {
		text = append(text, byte(padding))
	}
	cipher.NewCBCEncrypter(block, []byte(keyring)).CryptBlocks(text, text)
	return base64.StdEncoding.EncodeToString(text)
}
