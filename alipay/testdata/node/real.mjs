// The official SDK, unmodified, at a real platform: every method with real money of a sandbox, good and bad, by v2 and v3. What one method did, the
// next one sees. Usage: node real.mjs SANDBOX.json HOLDFAST ROUND [bills]; HOLDFAST is the program that shows payment codes, ROUND begins all order
// numbers. Bills are of days that are over, so they are fetched in a run of their own, on a machine whose clock is ahead by AHEAD_MS.
// Prints what it did as JSON.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { AlipaySdk } from 'alipay-sdk';

const ahead = Number(process.env.AHEAD_MS ?? 0);
const Clock = Date;
globalThis.Date = class extends Clock {
  constructor(...args) { super(...(args.length ? args : [Clock.now() + ahead])); }
  static now() { return Clock.now() + ahead; }
};
const [, , file, holdfast, round, part = 'all'] = process.argv;
const box = JSON.parse(fs.readFileSync(file, 'utf8'));
const config = {
  appId: box.app_id, gateway: box.gateway, endpoint: new URL(box.gateway).origin, camelcase: false,
  privateKey: fs.readFileSync(box.app_private_key, 'utf8'), alipayPublicKey: fs.readFileSync(box.platform_public_key, 'utf8'),
};
const sdk = new AlipaySdk(config);
const checked = { validateSign: true };
const seen = { good: new Set(), bad: new Set(), v3: new Set() };
const no = (name) => `${round}-${name}`;
const code = () => execFileSync(holdfast, ['sandbox', 'code', '--file', file], { encoding: 'utf8' }).trim();

const includes = (got, want, name) => {
  for (const [key, value] of Object.entries(want)) assert.equal(got[key], value, `${name}: ${key} of ${JSON.stringify(got)}`);
  return got;
};
async function good(method, bizContent, want = {}, more = {}) {
  seen.good.add(method);
  return includes(await sdk.exec(method, { bizContent, ...more }, checked), { code: '10000', msg: 'Success', ...want }, method);
}
async function bad(method, bizContent, refusal) {
  seen.bad.add(method);
  return includes(await sdk.exec(method, { bizContent }, checked), { code: '40004', sub_code: refusal }, method);
}
async function v3(method, verb, fields, want = {}) {
  seen.v3.add(method);
  const { data } = await sdk.curl(verb, `/v3/${method.replaceAll('.', '/')}`, verb === 'GET' ? { query: fields } : { body: fields });
  return includes(data, want, `${method} in v3`);
}
async function api(verb, path, body) {
  const r = await fetch(box.http + path, {
    method: verb, body: body && JSON.stringify(body),
    headers: { authorization: `Bearer ${box.api_key}`, ...(body && { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() }) },
  });
  const text = await r.text();
  assert.ok(r.ok, `${verb} ${path}: ${r.status} ${text}`);
  return JSON.parse(text);
}
const wallet = async (who) => (await api('GET', `/v1/customers/${who}/wallets/CNY`)).available;

// notices is a server of the merchant: it answers "success", and keeps what it was told.
async function notices() {
  const told = [];
  const server = http.createServer((req, res) => {
    let text = '';
    req.on('data', (part) => { text += part; });
    req.on('end', () => { told.push(Object.fromEntries(new URLSearchParams(text))); res.end('success'); });
  });
  await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
  return { told, url: `http://127.0.0.1:${server.address().port}/notice`, close: () => server.close() };
}

async function until(what, done) {
  for (const end = Date.now() + 30e3; Date.now() < end;) {
    const found = await done();
    if (found) return found;
    await new Promise((ready) => { setTimeout(ready, 50); });
  }
  throw new Error(`did not happen: ${what}`);
}

async function shop(merchant) {
  const before = await wallet(box.buyer);
  const pay = { out_trade_no: no('shop'), total_amount: '10.00', subject: '红茶 +%"{x}', scene: 'bar_code', auth_code: code() };
  const paid = await good('alipay.trade.pay', pay, { out_trade_no: no('shop'), buyer_pay_amount: '10.00' }, { notifyUrl: merchant.url });
  assert.equal(await wallet(box.buyer), before - 1000);
  includes(await good('alipay.trade.pay', pay), { trade_no: paid.trade_no }, 'asked again'); // the same answer, and no second payment
  assert.equal(await wallet(box.buyer), before - 1000);
  await bad('alipay.trade.pay', { ...pay, out_trade_no: no('replayed') }, 'ACQ.PAYMENT_AUTH_CODE_INVALID');
  await good('alipay.trade.query', { trade_no: paid.trade_no }, { trade_status: 'TRADE_SUCCESS', total_amount: '10.00' });
  await bad('alipay.trade.query', { out_trade_no: no('nobody') }, 'ACQ.TRADE_NOT_EXIST');
  await v3('alipay.trade.query', 'POST', { out_trade_no: no('shop') }, { trade_status: 'TRADE_SUCCESS', trade_no: paid.trade_no });
  const refund = { out_trade_no: no('shop'), refund_amount: '3.00', out_request_no: 'R1' };
  await good('alipay.trade.refund', refund, { fund_change: 'Y', refund_fee: '3.00' });
  await good('alipay.trade.refund', refund, { fund_change: 'N', refund_fee: '3.00' });
  await bad('alipay.trade.refund', { ...refund, out_request_no: 'R2', refund_amount: '7.01' }, 'ACQ.REFUND_AMT_NOT_EQUAL_TOTAL');
  await v3('alipay.trade.refund', 'POST', { ...refund, out_request_no: 'R3', refund_amount: '1.00' }, { refund_fee: '4.00' });
  await good('alipay.trade.fastpay.refund.query', { out_trade_no: no('shop'), out_request_no: 'R1' }, { refund_status: 'REFUND_SUCCESS', refund_amount: '3.00' });
  await bad('alipay.trade.fastpay.refund.query', { out_trade_no: no('nobody'), out_request_no: 'R1' }, 'ACQ.TRADE_NOT_EXIST');
  await v3('alipay.trade.fastpay.refund.query', 'POST', { out_trade_no: no('shop'), out_request_no: 'R3' }, { refund_amount: '1.00' });
  assert.equal(await wallet(box.buyer), before - 600);
  const splits = { out_request_no: no('S1'), trade_no: paid.trade_no, royalty_parameters: [{ trans_in: box.friend, trans_in_type: 'userId', amount: '0.50' }] };
  const had = await wallet(box.friend);
  await good('alipay.trade.order.settle', splits, { trade_no: paid.trade_no });
  await good('alipay.trade.order.settle', splits);
  assert.equal(await wallet(box.friend), had + 50);
  await bad('alipay.trade.order.settle', { ...splits, out_request_no: no('S2'), royalty_parameters: [{ trans_in: box.friend, amount: '500.00' }] }, 'ACQ.ALLOC_AMOUNT_VALIDATE_ERROR');
  seen.v3.add('alipay.trade.order.settle');
  await v3('alipay.trade.order.settle', 'POST', splits, { trade_no: paid.trade_no });
  const cancelled = { out_trade_no: no('v3'), total_amount: '2.00', subject: 'tea', scene: 'bar_code', auth_code: code() };
  await v3('alipay.trade.pay', 'POST', cancelled, { out_trade_no: no('v3') });
  await good('alipay.trade.cancel', { out_trade_no: no('v3') }, { action: 'refund', retry_flag: 'N' });
  await v3('alipay.trade.cancel', 'POST', { out_trade_no: no('v3') }, { retry_flag: 'N' });
  await bad('alipay.trade.cancel', { out_trade_no: '' }, 'ACQ.INVALID_PARAMETER');
  assert.equal(await wallet(box.buyer), before - 600);
  const notice = await until('the notice of a payment', () => merchant.told.find((n) => n.out_trade_no === no('shop') && n.trade_status === 'TRADE_SUCCESS' && !n.refund_fee));
  assert.ok(sdk.checkNotifySignV2({ ...notice }), 'the signature of a notice');
  includes(notice, { total_amount: '10.00', app_id: box.app_id, trade_no: paid.trade_no }, 'notice');
  const verify = await fetch(`${box.gateway}?service=notify_verify&partner=${notice.seller_id}&notify_id=${notice.notify_id}`);
  assert.equal(await verify.text(), 'true');
}

async function waiting() {
  const order = (name) => ({ out_trade_no: no(name), total_amount: '4.00', subject: 'tea' });
  const shown = await good('alipay.trade.precreate', order('qr'), { out_trade_no: no('qr') });
  assert.match(shown.qr_code, /\/q\//);
  await bad('alipay.trade.precreate', { ...order('qr'), total_amount: '5.00' }, 'ACQ.CONTEXT_INCONSISTENT');
  await v3('alipay.trade.precreate', 'POST', order('qr3'), { out_trade_no: no('qr3') });
  const token = new URL(shown.qr_code).pathname.split('/').pop();
  const opened = await api('POST', '/v1/codes/open', { token });
  assert.equal(opened.out_trade_no ?? opened.trade?.out_trade_no, no('qr'));
  await api('POST', `/v1/trades/${box.merchant}/${no('qr')}/pay`, { payer: box.buyer });
  await good('alipay.trade.query', { out_trade_no: no('qr') }, { trade_status: 'TRADE_SUCCESS' });
  await good('alipay.trade.create', { ...order('made'), buyer_id: box.buyer }, { out_trade_no: no('made') });
  await bad('alipay.trade.create', { ...order('made'), total_amount: '9.00', buyer_id: box.buyer }, 'ACQ.CONTEXT_INCONSISTENT');
  await v3('alipay.trade.create', 'POST', { ...order('made'), buyer_id: box.buyer }, { out_trade_no: no('made') });
  await good('alipay.trade.close', { out_trade_no: no('made') }, { out_trade_no: no('made') });
  await bad('alipay.trade.close', { out_trade_no: no('qr') }, 'ACQ.REASON_TRADE_STATUS_INVALID');
  await good('alipay.trade.create', { ...order('made3'), buyer_id: box.buyer });
  await v3('alipay.trade.close', 'POST', { out_trade_no: no('made3') }, { out_trade_no: no('made3') });
}

async function funds() {
  const had = await wallet(box.friend);
  const send = (name, amount) => ({
    out_biz_no: no(name), trans_amount: amount, product_code: 'TRANS_ACCOUNT_NO_PWD', biz_scene: 'DIRECT_TRANSFER', order_title: 'a share',
    payee_info: { identity: box.friend, identity_type: 'ALIPAY_USER_ID' },
  });
  const sent = await good('alipay.fund.trans.uni.transfer', send('T1', '1.00'), { status: 'SUCCESS', out_biz_no: no('T1') });
  await bad('alipay.fund.trans.uni.transfer', send('T2', '9999.00'), 'PAYER_BALANCE_NOT_ENOUGH');
  await v3('alipay.fund.trans.uni.transfer', 'POST', send('T1', '1.00'), { order_id: sent.order_id });
  assert.equal(await wallet(box.friend), had + 100);
  await good('alipay.fund.trans.common.query', { order_id: sent.order_id }, { trans_amount: '1.00', status: 'SUCCESS' });
  await bad('alipay.fund.trans.common.query', { out_biz_no: no('nobody'), product_code: 'TRANS_ACCOUNT_NO_PWD', biz_scene: 'DIRECT_TRANSFER' }, 'ORDER_NOT_EXIST');
  await v3('alipay.fund.trans.common.query', 'GET', { order_id: sent.order_id }, { trans_amount: '1.00' });
  const { available_amount: available } = await good('alipay.fund.account.query', { account_type: 'ACCTRANS_ACCOUNT' });
  assert.ok(Number(available) > 0, available);
  await bad('alipay.fund.account.query', { account_type: 'PIGGY_BANK' }, 'INVALID_PARAMETER');
  await v3('alipay.fund.account.query', 'GET', { account_type: 'ACCTRANS_ACCOUNT' }, { available_amount: available });
}

async function holds() {
  const before = await wallet(box.buyer);
  const freeze = { auth_code: code(), auth_code_type: 'bar_code', out_order_no: no('H1'), out_request_no: 'F1', order_title: '押金', amount: '8.00', product_code: 'PRE_AUTH' };
  const hold = await good('alipay.fund.auth.order.freeze', freeze, { status: 'SUCCESS' });
  await v3('alipay.fund.auth.order.freeze', 'POST', freeze, { auth_no: hold.auth_no });
  await bad('alipay.fund.auth.order.freeze', { ...freeze, out_order_no: no('H2'), auth_code: '280000000000000000' }, 'PAYMENT_AUTH_CODE_INVALID');
  assert.equal(await wallet(box.buyer), before - 800);
  await good('alipay.trade.pay', { out_trade_no: no('hold'), total_amount: '3.00', subject: 'a night', auth_no: hold.auth_no, product_code: 'PRE_AUTH', buyer_id: box.buyer });
  const unfreeze = (request, amount) => ({ auth_no: hold.auth_no, out_request_no: request, amount, remark: 'back' });
  await good('alipay.fund.auth.order.unfreeze', unfreeze('U1', '2.00'), { status: 'SUCCESS' });
  await bad('alipay.fund.auth.order.unfreeze', unfreeze('U2', '3.01'), 'REQUEST_AMOUNT_EXCEED');
  await v3('alipay.fund.auth.order.unfreeze', 'POST', unfreeze('U3', '3.00'), { status: 'SUCCESS' });
  await good('alipay.fund.auth.operation.detail.query', { auth_no: hold.auth_no, operation_id: hold.operation_id }, { total_pay_amount: '3.00', rest_amount: '0.00' });
  await bad('alipay.fund.auth.operation.detail.query', { out_order_no: no('nobody'), out_request_no: 'F1' }, 'AUTH_ORDER_NOT_EXIST');
  await v3('alipay.fund.auth.operation.detail.query', 'POST', { auth_no: hold.auth_no, operation_id: hold.operation_id }, { amount: '8.00' });
  assert.equal(await wallet(box.buyer), before - 300);
}

async function people() {
  const token = 'alipay.system.oauth.token', share = 'alipay.user.info.share';
  const agree = async () => (await api('POST', `/v1/customers/${box.buyer}/agreements`, { app_id: box.app_id, scopes: ['auth_user'] })).code;
  const given = await sdk.exec(token, { grantType: 'authorization_code', code: await agree() }, checked);
  includes(given, { user_id: box.buyer, code: undefined }, token);
  includes(await sdk.exec(share, { authToken: given.access_token }, checked), { code: '10000', user_id: box.buyer }, share);
  includes(await sdk.exec(token, { grantType: 'authorization_code', code: 'nobody' }), { code: '40002' }, token);
  includes(await sdk.exec(share, { authToken: 'nobody' }, checked), { code: '20001', sub_code: 'aop.invalid-auth-token' }, share);
  const { data } = await sdk.curl('POST', '/v3/alipay/system/oauth/token', { body: { grant_type: 'authorization_code', code: await agree() } });
  const who = await sdk.curl('POST', '/v3/alipay/user/info/share', { query: { auth_token: data.access_token } });
  assert.equal(who.data.user_id, box.buyer);
  for (const m of [token, share]) for (const set of Object.values(seen)) set.add(m);
}

async function pages() {
  for (const [method, product] of [['alipay.trade.page.pay', 'FAST_INSTANT_TRADE_PAY'], ['alipay.trade.wap.pay', 'QUICK_WAP_WAY']]) {
    const bizContent = { out_trade_no: no(method), total_amount: '1.50', subject: 'tea by post', product_code: product };
    const link = sdk.pageExecute(method, 'GET', { bizContent, returnUrl: 'https://shop.example/back?mine=1' });
    const page = await fetch(link);
    assert.equal(page.status, 200, method);
    const text = await page.text();
    assert.ok(/\/cashier\//.test(page.url) && text.includes('1.50') && text.includes('West Lake Tea'), `${method}: ${page.url}`);
    seen.good.add(method);
    const refused = await (await fetch(sdk.pageExecute(method, 'GET', { bizContent: { ...bizContent, total_amount: '0' } }))).text();
    assert.match(refused, /ACQ.TOTAL_FEE_EXCEED/, method);
    seen.bad.add(method);
  }
  const app = 'alipay.trade.app.pay';
  for (const [bizContent, want] of [[{ out_trade_no: no('app'), total_amount: '1.50', subject: 'tea' }, { code: '10000' }],
    [{ out_trade_no: no('app'), total_amount: '1.505', subject: 'tea' }, { code: '40004', sub_code: 'ACQ.INVALID_PARAMETER' }]]) {
    const text = await (await fetch(box.gateway, {
      method: 'POST', body: sdk.sdkExecute(app, { bizContent }), headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })).text();
    sdk.checkResponseSign(text, 'alipay_trade_app_pay_response', JSON.parse(text).sign, ''); // throws unless it fits
    includes(JSON.parse(text).alipay_trade_app_pay_response, want, app);
    seen[want.sub_code ? 'bad' : 'good'].add(app);
  }
}

async function bills() {
  const method = 'alipay.data.dataservice.bill.downloadurl.query';
  const day = (ago) => new Date(Date.now() + (8 - 24 * ago) * 3600e3).toISOString().slice(0, 10);
  const { bill_download_url: url } = await good(method, { bill_type: 'trade', bill_date: day(1) });
  const zip = Buffer.from(await (await fetch(url)).arrayBuffer());
  assert.equal(zip.subarray(0, 2).toString(), 'PK', url);
  await bad(method, { bill_type: 'trade', bill_date: '2999-01-01' }, 'BILL_NOT_EXIST');
  await bad(method, { bill_type: 'trade', bill_date: day(400) }, 'BILL_DATE_BEFORE_REGISTRATION');
  await v3(method, 'GET', { bill_type: 'trade', bill_date: day(1) });
}

const merchant = await notices();
try {
  for (const step of part === 'bills' ? [bills] : [shop, waiting, funds, holds, people, pages]) await step(merchant);
} finally {
  merchant.close();
}
console.log(JSON.stringify(Object.fromEntries(Object.entries(seen).map(([name, set]) => [name, [...set].sort()]))));
