package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// payTimeout is how long the developer waits: longer than the gateway itself takes at most.
const payTimeout = 10 * time.Second

// pay makes one payment by the buyer's code and shows each step. It says what an SDK would say, and errs if the payment did not succeed.
func (s *sandbox) pay(ctx context.Context, w io.Writer, amount string, now time.Time) error {
	code, err := s.code(now)
	if err != nil {
		return err
	}
	content, err := json.Marshal(map[string]string{
		"out_trade_no": "sandbox-" + now.UTC().Format("20060102-150405.000"), "scene": "bar_code", "auth_code": code,
		"subject": "A pot of tea", "total_amount": amount, "product_code": "FACE_TO_FACE_PAYMENT",
	})
	if err != nil {
		return err
	}
	const method = "alipay.trade.pay"
	form := map[string]string{
		"app_id": s.AppID, "method": method, "charset": "utf-8", "sign_type": "RSA2", "version": "1.0",
		"timestamp": now.In(beijing).Format(time.DateTime), "biz_content": string(content),
	}
	text, err := s.sign(form)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Signed (RSA2: SHA-256 with RSA) with the key in %s:\n\n  %s\n\n", s.AppPrivateKey, text)
	body, err := post(ctx, s.Gateway, form)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "POST %s answers:\n\n  %s\n\n", s.Gateway, bytes.TrimSpace(body))
	inner, err := s.verify(body, strings.ReplaceAll(method, ".", "_")+"_response")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "The platform's signature is right: checked with the key in %s.\n", s.PlatformPublicKey)
	var answer struct {
		Code    string `json:"code"`
		SubCode string `json:"sub_code"`
		SubMsg  string `json:"sub_msg"`
		TradeNo string `json:"trade_no"`
	}
	if err := json.Unmarshal(inner, &answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if answer.Code != "10000" {
		return fmt.Errorf("the payment was not made: %s %s (code %s)", answer.SubCode, answer.SubMsg, answer.Code)
	}
	fmt.Fprintf(w, "Paid: %s yuan, trade %s.\n", amount, answer.TradeNo)
	return nil
}

// beijing is the zone of all times of the protocol.
var beijing = time.FixedZone("GMT+8", 8*60*60)

// sign adds the signature to the parameters of a request, and returns the text that it is of: the parameters by name, not encoded.
func (s *sandbox) sign(form map[string]string) (text string, err error) {
	key, err := readPEM(s.AppPrivateKey, x509.ParsePKCS1PrivateKey)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(form)) {
		parts = append(parts, name+"="+form[name])
	}
	text = strings.Join(parts, "&")
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign the request: %w", err)
	}
	form["sign"] = base64.StdEncoding.EncodeToString(signature)
	return text, nil
}

// verify cuts the signed text out of an answer, as it came, and checks the signature.
func (s *sandbox) verify(body []byte, root string) (inner []byte, err error) {
	var answer map[string]json.RawMessage
	var sign string
	if err = json.Unmarshal(body, &answer); err == nil {
		err = json.Unmarshal(answer["sign"], &sign)
	}
	inner = answer[root]
	if err != nil || inner == nil {
		return nil, fmt.Errorf("the answer has no %s with a sign beside it: %w", root, errors.Join(err))
	}
	key, err := readPEM(s.PlatformPublicKey, x509.ParsePKIXPublicKey)
	if err != nil {
		return nil, err
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s has no RSA key", s.PlatformPublicKey)
	}
	signature, err := base64.StdEncoding.DecodeString(sign)
	if err != nil {
		return nil, fmt.Errorf("the signature of the answer: %w", err)
	}
	sum := sha256.Sum256(inner)
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature); err != nil {
		return nil, fmt.Errorf("the platform's signature does not fit the answer: %w", err)
	}
	return inner, nil
}

func readPEM[T any](file string, parse func([]byte) (T, error)) (key T, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return key, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return key, fmt.Errorf("%s has no key in PEM", file)
	}
	if key, err = parse(block.Bytes); err != nil {
		return key, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

func post(ctx context.Context, address string, form map[string]string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, payTimeout)
	defer cancel()
	values := url.Values{}
	for name, value := range form {
		values.Set(name, value)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded;charset=utf-8")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: is the sandbox running (holdfast serve --sandbox)?", err)
	}
	defer func() { _ = resp.Body.Close() }()
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return body, err
}
