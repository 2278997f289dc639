package proof

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// fixed turns an ASN.1 signature into the form of RFC 9421: both numbers with their leading zeros.
func fixed(asn []byte) ([]byte, error) {
	var pair struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(asn, &pair)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if len(rest) > 0 || pair.R.Sign() <= 0 || pair.S.Sign() <= 0 || pair.R.BitLen() > 8*half || pair.S.BitLen() > 8*half {
		return nil, errors.New("signature: it is not one of P-256")
	}
	raw := make([]byte, 2*half)
	pair.R.FillBytes(raw[:half])
	pair.S.FillBytes(raw[half:])
	return raw, nil
}
