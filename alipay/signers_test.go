package alipay

import (
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"
)

// TestAsManySignAsCanRun: who would sign while all processors do so already waits outside of the line for a processor.
func TestAsManySignAsCanRun(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, minKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	for range cap(signers) {
		signers <- struct{}{}
	}
	signed := make(chan error, 1)
	go func() {
		_, err := RSA2.sign(key, []byte("a text"))
		signed <- err
	}()
	select {
	case <-signed:
		t.Error("one more has signed than can run at once")
	case <-time.After(20 * time.Millisecond):
	}
	for range cap(signers) {
		<-signers
	}
	if err := <-signed; err != nil {
		t.Error(err)
	}
}
