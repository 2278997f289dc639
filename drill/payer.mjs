// A merchant's program with the official Alipay SDK, unmodified: pays by payment codes, asks, refunds and cancels, until SIGTERM. Every call and what
// it was answered is a line of JSON in the file that the configuration names.
import { createHmac } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as rest } from 'node:timers/promises';

const config = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const { AlipaySdk } = createRequire(config.sdk)('alipay-sdk');
const sdk = new AlipaySdk({
  appId: config.app, privateKey: config.key, alipayPublicKey: config.platform, gateway: `${config.gateway}/gateway.do`, endpoint: config.gateway,
  camelcase: false,
});
const book = fs.openSync(config.deeds, 'a');
const yuan = (fen) => `${Math.floor(fen / 100)}.${String(fen % 100).padStart(2, '0')}`;
const fen = (text) => (text ? Math.round(Number(text) * 100) : 0);
const knowing = 10_000; // how long an outcome that nobody knew is asked for
let stopping = false;
process.on('SIGTERM', () => { stopping = true; });

// A code of this minute, or of the next one, which counts as well, of the next phone that has not shown it.
let next = 0;
function freshCode() {
  const minute = Math.floor(Date.now() / 60_000);
  for (const last of [minute, minute + 1]) {
    for (let i = 0; i < config.phones.length; i++) {
      const phone = config.phones[next++ % config.phones.length];
      if ((phone.minute ?? 0) >= last) continue;
      phone.minute = Math.max(minute, (phone.minute ?? 0) + 1);
      return codeOf(phone);
    }
  }
  return null;
}

function codeOf(phone) {
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(phone.minute));
  const sum = createHmac('sha256', Buffer.from(phone.secret, 'base64')).update(step).digest();
  const digits = (sum.readUInt32BE(sum[31] & 0x0f) & 0x7fffffff) % 100_000_000;
  return `28${String(phone.sequence).padStart(8, '0')}${String(digits).padStart(8, '0')}`;
}

async function call(deed, method, bizContent) {
  deed = { by: 'sdk', told: 'nothing', code: '', status: '', said: 0, request: '', amount: 0, ...deed, began: Date.now() };
  try {
    const r = await sdk.exec(method, { bizContent }, { validateSign: true });
    deed.told = { 10000: 'done', 20000: 'unknown', 10003: 'unknown' }[r.code] ?? 'refused';
    deed.code = r.sub_code ?? '';
    deed.status = r.trade_status ?? r.refund_status ?? '';
    deed.said = fen(r.total_amount ?? r.refund_amount);
  } catch (e) {
    deed.code = String(e.message).slice(0, 200);
  }
  deed.ended = Date.now();
  fs.writeSync(book, `${JSON.stringify(deed)}\n`);
  return deed;
}

const query = (trade) => call({ do: 'query', trade }, 'alipay.trade.query', { out_trade_no: trade });
const cancel = (trade) => known(() => call({ do: 'cancel', trade }, 'alipay.trade.cancel', { out_trade_no: trade }));
const refund = (trade, request, amount) => known(() => call({ do: 'refund', trade, request, amount }, 'alipay.trade.refund',
  { out_trade_no: trade, out_request_no: request, refund_amount: yuan(amount) }));
const refundQuery = (trade, request) => call({ do: 'refund-query', trade, request }, 'alipay.trade.fastpay.refund.query',
  { out_trade_no: trade, out_request_no: request });

// The same again, with the same numbers, until it is known what has become of it.
async function known(ask) {
  for (const until = Date.now() + knowing; ;) {
    const d = await ask();
    if (d.told === 'done' || d.told === 'refused' || Date.now() > until) return d;
    await rest(config.asks);
  }
}

// Pays. Of an outcome that is not known, query tells the truth; when it knows of no payment, the same is asked for again, with the same number and code,
// which is done once at most. A payment that does not come is cancelled, as the protocol has it.
async function pay(trade, amount, code) {
  for (const until = Date.now() + knowing / 4; Date.now() < until; await rest(config.asks)) {
    const d = await call({ do: 'pay', trade, amount }, 'alipay.trade.pay',
      { out_trade_no: trade, scene: 'bar_code', auth_code: code, subject: 'tea', total_amount: yuan(amount), product_code: 'FACE_TO_FACE_PAYMENT' });
    if (d.told === 'done' || d.told === 'refused') return d.told === 'done';
    const q = await query(trade);
    if (q.status === 'TRADE_SUCCESS') return true;
    if (q.status === 'TRADE_CLOSED') return false;
  }
  await cancel(trade);
  return false;
}

async function round(name, n) {
  const trade = `sdk-${name}-${n}`;
  const amount = 200 + n;
  const code = freshCode();
  if (!code) return; // every phone has shown all it has
  if (!(await pay(trade, amount, code))) return;
  switch (n % 5) {
    case 0:
      await query(trade);
      break;
    case 1:
      await refund(trade, 'half', Math.floor(amount / 2));
      await refundQuery(trade, 'half');
      break;
    case 2:
      await cancel(trade);
      await query(trade);
      break;
    case 3: // the code has been used
      await pay(`${trade}-again`, amount, code);
      await query(`${trade}-again`);
      break;
    default: // more than was paid
      await refund(trade, 'more', amount + 1);
      await refundQuery(trade, 'more');
  }
}

async function shop(name) {
  for (let n = 0; !stopping; n++) {
    const began = Date.now();
    await round(name, n);
    await rest(Math.max(0, began + config.every - Date.now()));
  }
}

await Promise.all(Array.from({ length: config.shops }, (_, i) => shop(i)));
fs.closeSync(book);
process.exit(0);
