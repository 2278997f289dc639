package portal

import (
	"context"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// Setup is what the programs of the getting-started page are filled in with.
type Setup struct {
	AppID       string
	Gateway     string // address
	API         string // base URL of the native API
	Merchant    holdfast.Owner
	PlatformKey string // PEM
}

// bare is the platform's key without the lines of PEM, as some SDKs want it.
func (s *Setup) bare() string {
	block, _ := pem.Decode([]byte(s.PlatformKey))
	if block == nil {
		return ""
	}
	return strings.Join(strings.Fields(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s.PlatformKey), "-----BEGIN PUBLIC KEY-----"), "-----END PUBLIC KEY-----")), "")
}

// fill puts the values in place of their names.
func (s *Setup) fill(text string) string {
	return strings.NewReplacer(
		"APP_ID", s.AppID, "GATEWAY", s.Gateway, "SITE", s.API, "MERCHANT", s.Merchant.String(),
		"PLATFORM_KEY_PEM", strings.TrimSpace(s.PlatformKey), "PLATFORM_KEY", s.bare(),
	).Replace(strings.TrimPrefix(text, "\n"))
}

// Node is a program for the official SDK of Node (npm install alipay-sdk): it makes a trade that a customer pays by its QR code, and waits until it is paid. It
// reads the merchant's private key from app-private-key.pem. A test runs it as the page shows it.
func (s *Setup) Node() string { return s.fill(nodeProgram) }

const nodeProgram = `
import { readFileSync } from 'node:fs';
import { AlipaySdk } from 'alipay-sdk';

const sdk = new AlipaySdk({
  appId: 'APP_ID',
  gateway: 'GATEWAY',
  privateKey: readFileSync('app-private-key.pem', 'utf8'), // add keyType: 'PKCS8' if it begins with BEGIN PRIVATE KEY
  alipayPublicKey: ` + "`PLATFORM_KEY_PEM`" + `,
});
const out_trade_no = ` + "`first-${Date.now()}`" + `;
const made = await sdk.exec('alipay.trade.precreate', {
  bizContent: { out_trade_no, subject: 'Longjing, 50 g', total_amount: '88.00' },
}, { validateSign: true });
console.log(made.qrCode ?? made); // what the QR code says: the customer's wallet opens it

let seen; // ACQ.TRADE_NOT_EXIST until somebody has opened the code
while (seen !== 'TRADE_SUCCESS') {
  await new Promise((ready) => setTimeout(ready, 1000));
  const now = await sdk.exec('alipay.trade.query', { bizContent: { out_trade_no } }, { validateSign: true });
  console.log(seen = now.tradeStatus ?? now.subCode);
}
`

// The programs for the other SDKs follow their own documents: package names and settings are theirs.
const javaProgram = `
// Maven: com.alipay.sdk : alipay-sdk-java
AlipayConfig config = new AlipayConfig();
config.setServerUrl("GATEWAY");
config.setAppId("APP_ID");
config.setPrivateKey(Files.readString(Path.of("app-private-key.txt")).strip()); // PKCS#8, Base64 without the BEGIN and END lines
config.setAlipayPublicKey("PLATFORM_KEY");
config.setFormat("json");
config.setCharset("UTF-8");
config.setSignType("RSA2");

AlipayTradePrecreateModel model = new AlipayTradePrecreateModel();
model.setOutTradeNo("first-" + System.currentTimeMillis());
model.setSubject("Longjing, 50 g");
model.setTotalAmount("88.00");
AlipayTradePrecreateRequest request = new AlipayTradePrecreateRequest();
request.setBizModel(model);
System.out.println(new DefaultAlipayClient(config).execute(request).getBody());
`

const pythonProgram = `
# pip install alipay-sdk-python
import time
from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.DefaultAlipayClient import DefaultAlipayClient
from alipay.aop.api.domain.AlipayTradePrecreateModel import AlipayTradePrecreateModel
from alipay.aop.api.request.AlipayTradePrecreateRequest import AlipayTradePrecreateRequest

config = AlipayClientConfig()
config.server_url = "GATEWAY"
config.app_id = "APP_ID"
config.app_private_key = open("app-private-key.txt").read().strip()  # PKCS#1, Base64 without the BEGIN and END lines
config.alipay_public_key = "PLATFORM_KEY"

model = AlipayTradePrecreateModel()
model.out_trade_no = f"first-{int(time.time() * 1000)}"
model.subject = "Longjing, 50 g"
model.total_amount = "88.00"
print(DefaultAlipayClient(alipay_client_config=config).execute(AlipayTradePrecreateRequest(biz_model=model)))
`

const phpProgram = `
<?php // composer require alipaysdk/openapi:*@dev
require 'vendor/autoload.php';
require 'vendor/alipaysdk/openapi/v2/aop/AopClient.php';
require 'vendor/alipaysdk/openapi/v2/aop/request/AlipayTradePrecreateRequest.php';

$aop = new AopClient();
$aop->gatewayUrl = 'GATEWAY';
$aop->appId = 'APP_ID';
$aop->rsaPrivateKey = trim(file_get_contents('app-private-key.txt')); // PKCS#1, Base64 without the BEGIN and END lines
$aop->alipayrsaPublicKey = 'PLATFORM_KEY';
$aop->signType = 'RSA2';
$aop->postCharset = 'UTF-8';
$aop->format = 'json';

$request = new AlipayTradePrecreateRequest();
$request->setBizContent(json_encode(['out_trade_no' => 'first-' . time(), 'subject' => 'Longjing, 50 g', 'total_amount' => '88.00']));
var_dump($aop->execute($request)->alipay_trade_precreate_response);
`

const keysProgram = `
openssl genrsa -traditional -out app-private-key.pem 2048
openssl rsa -in app-private-key.pem -pubout -out app-public-key.pem
`

const curlProgram = `
curl SITE/v1/trades \
  -H 'Authorization: Bearer hfm_...' -H 'Content-Type: application/json' \
  -d '{"merchant":"MERCHANT","out_trade_no":"first-1","amount":8800,"asset":"CNY","subject":"Longjing, 50 g","qr":true}'
curl SITE/v1/trades/MERCHANT/first-1 -H 'Authorization: Bearer hfm_...'
`

// snippet is a program that the page shows.
type snippet struct {
	ID, Name string
	Text     string
	Run      bool // a test runs it
}

func (s *Setup) snippets() []snippet {
	return []snippet{
		{"node", "Node (alipay-sdk)", s.Node(), true},
		{"java", "Java (alipay-sdk-java)", s.fill(javaProgram), false},
		{"python", "Python (alipay-sdk-python)", s.fill(pythonProgram), false},
		{"php", "PHP (alipaysdk/openapi)", s.fill(phpProgram), false},
	}
}

// startBody is how to begin.
type startBody struct {
	base
	Apps     []client.App
	App      client.App // the one that the programs are for; ID "": there is none
	Setup    Setup
	Snippets []snippet
	Keys     string
	Curl     string
	Hooks    int
	Paid     bool // something has been paid today
}

func (p *portal) showStart(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	b, err := p.base(ctx, v)
	if err != nil {
		return page.Failed(v, r, err)
	}
	body := &startBody{base: b, Keys: strings.TrimPrefix(keysProgram, "\n")}
	if body.Apps, err = p.API.Apps(ctx, v.Owner()); err != nil {
		return page.Failed(v, r, err)
	}
	here := p.here(r)
	body.Setup = Setup{Gateway: here + "/gateway.do", API: here, Merchant: v.Owner()}
	body.Curl = body.Setup.fill(curlProgram)
	if len(body.Apps) > 0 {
		chosen := max(0, slices.IndexFunc(body.Apps, func(a client.App) bool { return a.ID == r.URL.Query().Get("app") }))
		if body.App, err = p.API.App(ctx, v.Owner(), body.Apps[chosen].ID); err != nil { // lists do not have the platform's key
			return page.Failed(v, r, err)
		}
		body.Setup.AppID, body.Setup.PlatformKey = body.App.ID, body.App.PlatformPublicKey
		body.Snippets = body.Setup.snippets()
	}
	hooks, err := p.API.Webhooks(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	body.Hooks = len(hooks)
	_, latest, _, err := p.tally(ctx, v, &b)
	if err != nil {
		return page.Failed(v, r, err)
	}
	body.Paid = slices.ContainsFunc(latest, func(e client.Event) bool { return e.Type == "trade.paid" })
	return page.Answer{Template: "portal-start", Body: body}
}
