package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
)

// paymentKeyBytes is the length of each of the two keys of payments.
const paymentKeyBytes = 32

// paymentKeysName is the file of an embedded site.
const paymentKeysName = "payment-keys.toml"

// paymentKeys are the keys of a file that [payments] keys names.
type paymentKeys struct {
	alias, seal []byte
	gateway     *rsa.PrivateKey
}

// gatewayBits is the length of the gateway's own key: that of all keys of the protocol.
const gatewayBits = 2048

const paymentKeysHead = `# The keys of payments of people: the same file at every site, readable by the user that runs the site and nobody else.
# aliases: phone numbers and e-mail addresses are stored as their HMAC-SHA-256 under this key.
# secrets: payment codes' secrets, keys of merchants' apps and of webhooks are sealed with it (AES-256-GCM).
# gateway: signs what the gateway tells those whose application it does not know (RSA, PKCS #8, base64).
# Keep a copy in a safe place. Without it what is sealed is lost; the money is not.
`

func newPaymentKeys() *cobra.Command {
	return &cobra.Command{
		Use:   "payment-keys FILE",
		Short: "Make the file with the keys of payments of people, for [payments] keys",
		Long: `Make the file that [payments] keys of the configuration names. It is made once and copied to every site of the fleet, in a way that nobody can
read it on. A file that is there is never touched.`,
		Example: "  holdfast payment-keys payment-keys.toml",
		Args:    one("file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := makePaymentKeys(args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: copy it to every site, and name it there in [payments] keys. Keep another copy in a safe place.\n", args[0])
			return nil
		},
	}
}

// makePaymentKeys makes new keys and writes them to a file that is not there yet.
func makePaymentKeys(file string) (k paymentKeys, err error) {
	k.alias, k.seal = make([]byte, paymentKeyBytes), make([]byte, paymentKeyBytes)
	for _, key := range [][]byte{k.alias, k.seal} {
		if _, err := rand.Read(key); err != nil {
			return k, fmt.Errorf("make the keys of payments: %w", err)
		}
	}
	if k.gateway, err = rsa.GenerateKey(rand.Reader, gatewayBits); err != nil {
		return k, fmt.Errorf("make the keys of payments: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.gateway)
	if err != nil {
		return k, fmt.Errorf("make the keys of payments: %w", err)
	}
	text := fmt.Appendf(nil, "%saliases = \"%x\"\nsecrets = \"%x\"\ngateway = %q\n", paymentKeysHead, k.alias, k.seal, base64.StdEncoding.EncodeToString(der))
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return k, fmt.Errorf("%s is there already: with other keys everything that was sealed would be lost. Use it, or choose another name", file)
	}
	if err != nil {
		return k, fmt.Errorf("write the keys of payments: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return k, fmt.Errorf("write the keys of payments: %w", errors.Join(err, os.Remove(file)))
	}
	return k, nil
}

// readPaymentKeys reads them. The errors repeat nothing of what the file says.
func readPaymentKeys(file string) (k paymentKeys, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return k, fmt.Errorf("the keys of payments: %w: holdfast payment-keys makes such a file, once for the whole fleet", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return k, fmt.Errorf("the keys of payments: others may read %s: chmod 600 it", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return k, fmt.Errorf("the keys of payments: %w", err)
	}
	var f struct {
		Aliases string `toml:"aliases"`
		Secrets string `toml:"secrets"`
		Gateway string `toml:"gateway"`
	}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&f); err != nil {
		return k, fmt.Errorf("the keys of payments: %s is no file that holdfast payment-keys has made", file)
	}
	for _, key := range []struct {
		name, text string
		to         *[]byte
	}{{"aliases", f.Aliases, &k.alias}, {"secrets", f.Secrets, &k.seal}} {
		*key.to, err = hex.DecodeString(key.text)
		if err != nil || len(*key.to) != paymentKeyBytes {
			return k, fmt.Errorf("the keys of payments: %s in %s is not %d hexadecimal digits", key.name, file, 2*paymentKeyBytes)
		}
	}
	der, err := base64.StdEncoding.DecodeString(f.Gateway)
	if err == nil {
		var key any
		key, err = x509.ParsePKCS8PrivateKey(der)
		k.gateway, _ = key.(*rsa.PrivateKey)
	}
	if err != nil || k.gateway == nil || k.gateway.N.BitLen() != gatewayBits {
		return k, fmt.Errorf("the keys of payments: gateway in %s is no RSA key of %d bits (PKCS #8, base64)", file, gatewayBits)
	}
	return k, nil
}

// embeddedPaymentKeys are those in the data directory of an embedded site, which makes them when it first starts.
func embeddedPaymentKeys(dir string) (file string, err error) {
	file = filepath.Join(dir, paymentKeysName)
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return file, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return file, fmt.Errorf("make the data directory: %w", err)
	}
	_, err = makePaymentKeys(file)
	return file, err
}
