package desk

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"holdfast"
	"holdfast/pay"
)

// openIDs make the names under which apps know customers. A name is one block of AES: the customer's number and a tag of the app, encrypted. So
// each app has another name for the same customer, nobody who has no key can compare them, and the platform reads a name without looking
// anything up. A name that was made up, or is another app's, has a wrong tag.
type openIDs struct {
	block cipher.Block
	tags  []byte
}

func newOpenIDs(c *pay.Cashier) (*openIDs, error) {
	block, err := aes.NewCipher(c.DerivedKey("open ids"))
	if err != nil {
		return nil, fmt.Errorf("desk: %w", err)
	}
	return &openIDs{block: block, tags: c.DerivedKey("tags of open ids")}, nil
}

func (n *openIDs) tag(app string) []byte {
	h := hmac.New(sha256.New, n.tags)
	h.Write([]byte(app))
	return h.Sum(nil)[:8]
}

// of is the name of a customer for an app, 22 characters.
func (n *openIDs) of(app string, o holdfast.Owner) string {
	var b [aes.BlockSize]byte
	copy(b[8:], n.tag(app))
	binary.BigEndian.PutUint64(b[:], uint64(o))
	n.block.Encrypt(b[:], b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// owner is whose name it is for an app.
func (n *openIDs) owner(app, name string) (holdfast.Owner, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(name)
	if err != nil || len(b) != aes.BlockSize {
		return 0, false
	}
	n.block.Decrypt(b, b)
	o := holdfast.Owner(binary.BigEndian.Uint64(b))
	return o, subtle.ConstantTimeCompare(b[8:], n.tag(app)) == 1 && o.Check() == nil
}
