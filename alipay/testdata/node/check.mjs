// The official SDK, unmodified, against the gateway: every method, good and bad, in one process. Prints the methods it saw as JSON.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { AlipayFormData, AlipaySdk } from 'alipay-sdk';

const vectors = JSON.parse(fs.readFileSync(new URL('../vectors.json', import.meta.url), 'utf8'));
const origin = process.env.GATEWAY;
const config = {
  appId: '2021000000000001', privateKey: vectors.app_private_key, alipayPublicKey: vectors.platform_public_key,
  gateway: `${origin}/gateway.do`, endpoint: origin,
};
const sdk = new AlipaySdk({ ...config, camelcase: false });
const checked = { validateSign: true };
const seen = { good: new Set(), bad: new Set(), v3: new Set() };
const code = '281234567890123456';
const order = { out_trade_no: 'A-1', total_amount: '9.90', subject: '红茶 +%"{x}' };
const yesterday = new Date(Date.now() - 40 * 3600e3).toISOString().slice(0, 10);

// method, what is asked, what is answered; what is asked so that it is refused, with which sub_code; the HTTP method of v3.
const table = [
  ['alipay.trade.pay', { ...order, auth_code: code, scene: 'bar_code' }, { trade_status: undefined, buyer_pay_amount: '9.90', out_trade_no: 'A-1' },
    { ...order, auth_code: code, out_trade_no: 'R:ACQ.BUYER_BALANCE_NOT_ENOUGH' }, 'ACQ.BUYER_BALANCE_NOT_ENOUGH', 'POST'],
  ['alipay.trade.precreate', order, { qr_code: 'https://pay.example/q/abc' }, { ...order, total_amount: '9.999' }, 'ACQ.INVALID_PARAMETER', 'POST'],
  ['alipay.trade.create', { ...order, buyer_id: '2088000000020000' }, { out_trade_no: 'A-1' }, order, 'ACQ.INVALID_PARAMETER', 'POST'],
  ['alipay.trade.query', { out_trade_no: 'A-1' }, { trade_status: 'TRADE_SUCCESS', total_amount: '9.90', send_pay_date: '2026-11-22 12:01:25' },
    { out_trade_no: 'R:ACQ.TRADE_NOT_EXIST' }, 'ACQ.TRADE_NOT_EXIST', 'POST'],
  ['alipay.trade.cancel', { out_trade_no: 'A-1' }, { action: 'refund', retry_flag: 'N' }, { out_trade_no: '' }, 'ACQ.INVALID_PARAMETER', 'POST'],
  ['alipay.trade.close', { out_trade_no: 'A-1' }, { out_trade_no: 'A-1' }, { out_trade_no: 'R:ACQ.TRADE_STATUS_ERROR' }, 'ACQ.TRADE_STATUS_ERROR', 'POST'],
  ['alipay.trade.refund', { out_trade_no: 'A-1', refund_amount: 1, out_request_no: 'Q1' }, { fund_change: 'Y', refund_fee: '3.00' },
    { out_trade_no: 'A-1', refund_amount: 0 }, 'ACQ.REFUND_FEE_ERROR', 'POST'],
  ['alipay.trade.fastpay.refund.query', { out_trade_no: 'A-1', out_request_no: 'Q1' }, { refund_status: 'REFUND_SUCCESS', refund_amount: '1.00' },
    { out_trade_no: 'A-1', out_request_no: null }, 'ACQ.INVALID_PARAMETER', 'POST'],
  ['alipay.trade.order.settle', { out_request_no: 'Q1', trade_no: 'T1', royalty_parameters: [{ trans_in: '2088', amount: 1.5 }] }, { settle_no: 'S1' },
    { out_request_no: 'Q1', trade_no: 'T1', royalty_parameters: [] }, 'ACQ.INVALID_PARAMETER', 'POST'],
  ['alipay.fund.trans.uni.transfer', {
    out_biz_no: 'B1', trans_amount: '12.34', product_code: 'TRANS_ACCOUNT_NO_PWD', biz_scene: 'DIRECT_TRANSFER',
    payee_info: { identity: '2088', identity_type: 'ALIPAY_USER_ID' },
  }, { status: 'SUCCESS', order_id: 'T1' }, {
    out_biz_no: 'B1', trans_amount: '0.09', product_code: 'TRANS_ACCOUNT_NO_PWD', biz_scene: 'DIRECT_TRANSFER',
    payee_info: { identity: '2088', identity_type: 'ALIPAY_USER_ID' },
  }, 'EXCEED_LIMIT_SM_MIN_AMOUNT', 'POST'],
  ['alipay.fund.trans.common.query', { order_id: 'T1' }, { trans_amount: '12.34' }, { order_id: 'R:ORDER_NOT_EXIST' }, 'ORDER_NOT_EXIST', 'GET'],
  ['alipay.fund.account.query', { alipay_user_id: '2088' }, { available_amount: '1234.56' }, { account_type: 'PIGGY_BANK' }, 'INVALID_PARAMETER', 'GET'],
  ['alipay.fund.auth.order.freeze', { auth_code: code, auth_code_type: 'bar_code', out_order_no: 'H1', out_request_no: 'Q1', order_title: '押金', amount: '5.00' },
    { status: 'SUCCESS', auth_no: 'A1' },
    { auth_code: '12', auth_code_type: 'bar_code', out_order_no: 'H1', out_request_no: 'Q1', order_title: 'x', amount: '5.00' }, 'PAYMENT_AUTH_CODE_INVALID', 'POST'],
  ['alipay.fund.auth.order.unfreeze', { auth_no: 'A1', out_request_no: 'Q2', amount: '5.00', remark: 'back' }, { operation_id: 'O2' },
    { auth_no: 'A1', out_request_no: 'R:REQUEST_AMOUNT_EXCEED', amount: '5.00', remark: 'back' }, 'REQUEST_AMOUNT_EXCEED', 'POST'],
  ['alipay.fund.auth.operation.detail.query', { auth_no: 'A1', operation_id: 'O1' }, { order_status: 'AUTHORIZED', rest_amount: '4.00' },
    { auth_no: 'A1' }, 'ILLEGAL_ARGUMENT', 'POST'],
  ['alipay.data.dataservice.bill.downloadurl.query', { bill_type: 'trade', bill_date: yesterday }, { bill_download_url: 'https://pay.example/bill/x' },
    { bill_type: 'trade', bill_date: '2999-01-01' }, 'BILL_NOT_EXIST', 'GET'],
];

function includes(got, want, name) {
  for (const [key, value] of Object.entries(want)) assert.equal(got[key], value, `${name}: ${key} of ${JSON.stringify(got)}`);
}

function v3Call(method, http, fields) {
  const path = `/v3/${method.replaceAll('.', '/')}`;
  return sdk.curl(http, path, http === 'GET' ? { query: fields } : { body: fields });
}

const plain = (code) => code.replace(/^(isv|aop|isp)\./, '');

async function refusedV3(call, code, status, name) {
  await assert.rejects(call, (e) => {
    assert.equal(e.code, code, `${name}: ${e.message}`);
    assert.equal(e.responseHttpStatus, status, name);
    assert.match(e.message, /\(.+\)/, name);
    assert.ok(Array.isArray(e.links) && e.traceId.length === 32, name);
    return true;
  });
}

async function oneMethod([method, good, answer, bad, refusal, http]) {
  const q = await sdk.exec(method, { bizContent: good }, checked);
  assert.equal(q.code, '10000', `${method}: ${JSON.stringify(q)}`);
  assert.equal(q.msg, 'Success');
  assert.equal(q.traceId.length, 32, method);
  includes(q, answer, method);
  seen.good.add(method);
  const r = await sdk.exec(method, { bizContent: bad }, checked);
  includes(r, { code: '40004', msg: 'Business Failed', sub_code: refusal }, method);
  assert.match(r.sub_msg, /\(.+\)/, method);
  seen.bad.add(method);
  const v = await v3Call(method, http, good);
  assert.equal(v.responseHttpStatus, 200);
  includes(v.data, { ...answer, code: undefined, msg: undefined }, `${method} in v3`);
  await refusedV3(v3Call(method, http, bad), refusal, 400, `${method} in v3`);
  seen.v3.add(method);
}

async function people() {
  const token = 'alipay.system.oauth.token';
  const t = await sdk.exec(token, { grantType: 'authorization_code', code: 'c' }, checked);
  includes(t, { access_token: 'access-1', user_id: '2088000000020000', expires_in: 1296000, code: undefined }, token);
  // The SDK cannot verify an error_response, from whomever it comes; it is signed all the same.
  const bad = await sdk.exec(token, { grantType: 'refresh_token', refreshToken: 'R:isv.refresh-token-time-out' });
  includes(bad, { code: '40002', sub_code: 'isv.refresh-token-time-out' }, token);
  const v = await sdk.curl('POST', '/v3/alipay/system/oauth/token', { body: { grant_type: 'authorization_code', code: 'c' } });
  assert.equal(v.data.access_token, 'access-1');
  await refusedV3(sdk.curl('POST', '/v3/alipay/system/oauth/token', { body: {} }), 'grant-type-invalid', 400, token);
  const share = 'alipay.user.info.share';
  const u = await sdk.exec(share, { authToken: 'tok' }, checked);
  includes(u, { code: '10000', nick_name: '小王', is_certified: 'T' }, share);
  const old = await sdk.exec(share, { authToken: 'R:aop.auth-token-time-out' }, checked);
  includes(old, { code: '20001', sub_code: 'aop.auth-token-time-out' }, share);
  assert.equal((await sdk.curl('POST', '/v3/alipay/user/info/share', { query: { auth_token: 'tok' } })).data.user_id, '2088000000020000');
  await refusedV3(sdk.curl('POST', '/v3/alipay/user/info/share', {}), 'invalid-auth-token', 403, share);
  for (const m of [token, share]) for (const set of Object.values(seen)) set.add(m);
}

async function pages() {
  for (const [method, product] of [['alipay.trade.page.pay', 'FAST_INSTANT_TRADE_PAY'], ['alipay.trade.wap.pay', 'QUICK_WAP_WAY']]) {
    const params = { returnUrl: 'https://shop.example/back?a=1&b=2', notifyUrl: 'https://shop.example/cb', bizContent: { ...order, product_code: product } };
    const link = await fetch(sdk.pageExecute(method, 'GET', params), { redirect: 'manual' });
    assert.deepEqual([link.status, link.headers.get('location')], [302, 'https://pay.example/c/1'], method);
    const sent = await submit(sdk.pageExecute(method, 'POST', params));
    assert.deepEqual([sent.status, sent.headers.get('location')], [303, 'https://pay.example/c/1'], method);
    seen.good.add(method);
    for (const [bizContent, say] of [[{ ...params.bizContent, out_trade_no: 'R:ACQ.TRADE_HAS_CLOSE' }, 'ACQ.TRADE_HAS_CLOSE'], [order, 'product_code']]) {
      for (const shown of [await fetch(sdk.pageExecute(method, 'GET', { ...params, bizContent }), { redirect: 'manual' }),
        await submit(sdk.pageExecute(method, 'POST', { ...params, bizContent }))]) {
        assert.equal(shown.status, 200);
        assert.match(shown.headers.get('content-type'), /^text\/html/);
        assert.ok((await shown.text()).includes(say), method);
      }
    }
    seen.bad.add(method);
  }
  const app = 'alipay.trade.app.pay';
  for (const [bizContent, want] of [[order, { code: '10000', cashier_url: 'https://pay.example/c/1' }],
    [{ ...order, subject: 'a/b' }, { code: '40004', sub_code: 'ACQ.INVALID_PARAMETER' }]]) {
    // The wallet sends what the merchant's server made.
    const text = await (await fetch(config.gateway, {
      method: 'POST', body: sdk.sdkExecute(app, { bizContent }), headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })).text();
    sdk.checkResponseSign(text, 'alipay_trade_app_pay_response', JSON.parse(text).sign, ''); // throws unless it fits
    includes(JSON.parse(text).alipay_trade_app_pay_response, want, app);
    seen[want.sub_code ? 'bad' : 'good'].add(app);
  }
}

// submit does what a browser does with the form that the SDK made.
function submit(html) {
  const body = new URLSearchParams();
  for (const [, name, value] of html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)) body.append(name, value.replaceAll('&quot;', '"'));
  return fetch(html.match(/action="([^"]*)"/)[1], { method: 'POST', body, redirect: 'manual' });
}

async function outcomes() {
  const pay = (no) => sdk.exec('alipay.trade.pay', { bizContent: { ...order, out_trade_no: no, auth_code: code } }, checked);
  includes(await pay('P:1'), { code: '10003', buyer_pay_amount: '0.00' }, 'pending');
  includes(await pay('U:1'), { code: '20000', sub_code: 'isp.unknow-error', out_trade_no: 'U:1' }, 'unknown');
  includes(await pay('X:1'), { code: '20000' }, 'a desk that breaks');
  includes(await sdk.exec('alipay.trade.cancel', { bizContent: { out_trade_no: 'nobody' } }, checked), { code: '10000', retry_flag: 'N', action: undefined }, 'cancel');
  const v = await sdk.curl('POST', '/v3/alipay/trade/pay', { body: { ...order, out_trade_no: 'P:1', auth_code: code } });
  assert.equal(v.responseHttpStatus, 202);
  await refusedV3(sdk.curl('POST', '/v3/alipay/trade/query', { body: { out_trade_no: 'U:1' } }), 'unknow-error', 500, 'unknown in v3');
}

async function refusalsOfTheGateway() {
  const query = (s, options = checked, extra = {}) => s.exec('alipay.trade.query', { bizContent: { outTradeNo: 'A-1' }, ...extra }, options);
  const other = new AlipaySdk({ ...config, camelcase: false, appId: '1' });
  includes(await query(other), { code: '40002', sub_code: 'isv.invalid-app-id' }, 'app');
  // The platform's private key is not the merchant's: the signature is wrong.
  const forged = new AlipaySdk({ ...config, camelcase: false, privateKey: vectors.platform_private_key });
  includes(await query(forged), { code: '40002', sub_code: 'isv.invalid-signature' }, 'signature');
  await refusedV3(forged.curl('POST', '/v3/alipay/trade/query', { body: {} }), 'invalid-signature', 401, 'signature in v3');
  includes(await sdk.exec('alipay.trade.nothing', { bizContent: {} }, checked), { code: '40002', sub_code: 'isv.invalid-method' }, 'method');
  includes(await query(sdk, checked, { appAuthToken: 'none' }), { code: '20001', sub_code: 'aop.invalid-app-auth-token' }, 'token');
  includes(await query(sdk, checked, { appAuthToken: 'tok+/=' }), { code: '10000' }, 'token');
  await refusedV3(sdk.curl('GET', '/v3/alipay/nothing'), plain('isv.invalid-method'), 404, 'path');
}

async function waysOfAsking() {
  const camel = new AlipaySdk(config);
  const q = await camel.exec('alipay.trade.query', { bizContent: { outTradeNo: 'A-1', queryOptions: ['fund_bill_list'] }, notifyUrl: '' }, checked);
  assert.deepEqual([q.tradeStatus, q.fundBillList], ['TRADE_SUCCESS', [{ fundChannel: 'ALIPAYACCOUNT', amount: '9.90' }]]);
  const sha1 = new AlipaySdk({ ...config, signType: 'RSA' });
  assert.equal((await sha1.exec('alipay.trade.query', { bizContent: { outTradeNo: 'A-1' } }, checked)).code, '10000');
  const form = new AlipayFormData();
  form.addField('authToken', 'tok');
  form.addFile('picture', 'a.png', Buffer.from([1, 2, 255]));
  assert.equal((await camel.exec('alipay.user.info.share', {}, { ...checked, formData: form })).nickName, '小王');
}

async function notices() {
  const made = await (await fetch(`${origin}/made`)).json();
  for (const form of made.notices) {
    const body = Object.fromEntries(new URLSearchParams(form));
    assert.ok(sdk.checkNotifySignV2(body), form);
    assert.ok(!sdk.checkNotifySignV2({ ...body, app_id: '1' }), 'a changed notice passes');
  }
  const back = Object.fromEntries(new URL(made.back).searchParams);
  delete back.mine;
  assert.ok(sdk.checkNotifySignV2(back), made.back);
  assert.ok(sdk.checkNotifySign(back), made.back);
}

await Promise.all([...table.map(oneMethod), people(), pages(), outcomes(), refusalsOfTheGateway(), waysOfAsking(), notices()]);
console.log(JSON.stringify(Object.fromEntries(Object.entries(seen).map(([k, v]) => [k, [...v].sort()]))));
process.exit(0);
