// Draws a payment code, 18 digits, as a QR code (ISO/IEC 18004, version 1, level M, digits) and as a bar code (Code 128, set C, ISO/IEC 15417), as the d of
// an SVG path of modules. It needs no network and no library: codes of other lengths are not drawn.
"use strict";
const drawCode = (() => {
  // The widths of the bars and gaps of the values 0 to 105 of Code 128, and of its stop.
  const widths = ("212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222123122123221223211221132221231" +
    "213212223112312131311222321122321221312212322112322211212123212321232121111323131123131321112313132113132311211313231113231311" +
    "112133112331132131113123113321133121313121211331231131213113213311213131311123311321331121312113312311332111314111221411431111" +
    "111224111422121124121421141122141221112214112412122114122411142112142211241211221114413111241112134111111242121142121241114212" +
    "124112124211411212421112421211212141214121412121111143111341131141114113114311411113411311113141114131311141411131211412211214211232").match(/.{6}/g);
  const stop = "2331112", startC = 105, quiet = 10, high = 40;

  const bars = (digits) => {
    const values = [startC].concat(digits.match(/../g).map(Number));
    values.push(values.reduce((sum, v, i) => sum + v * Math.max(i, 1), 0) % 103);
    let x = quiet, d = "", dark = true;
    for (const w of values.map((v) => widths[v]).join("") + stop) {
      if (dark) d += `M${x} 0h${w}v${high}h-${w}z`;
      x += +w;
      dark = !dark;
    }
    return d;
  };

  // Arithmetic in the field of 256 elements, by logarithms.
  const exp = [], log = [];
  for (let i = 0, x = 1; i < 255; i++, x = x << 1 ^ (x & 128 ? 0x11d : 0)) { exp[i] = x; log[x] = i; }
  const times = (a, b) => a && b ? exp[(log[a] + log[b]) % 255] : 0;
  const check = (data, count) => { // Reed and Solomon
    let g = [1];
    for (let i = 0; i < count; i++) g = g.concat(0).map((v, j) => v ^ (j ? times(g[j - 1], exp[i]) : 0));
    const rest = data.concat(Array(count).fill(0));
    data.forEach((_, i) => { const f = rest[i]; g.forEach((v, j) => { rest[i + j] ^= times(v, f); }); });
    return rest.slice(data.length);
  };

  const size = 21, dataBytes = 16, checkBytes = 10, border = 4;
  const words = (digits) => {
    let bits = "0001" + digits.length.toString(2).padStart(10, "0");
    for (const three of digits.match(/.{3}/g)) bits += (+three).toString(2).padStart(10, "0");
    bits += "0000";
    bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, "0");
    const data = bits.match(/.{8}/g).map((b) => parseInt(b, 2));
    for (let i = 0; data.length < dataBytes; i++) data.push(i % 2 ? 0x11 : 0xec);
    return data.concat(check(data, checkBytes));
  };

  // fixed are the modules that every code of this size has; null is where data goes, and the format.
  const fixed = () => {
    const m = Array.from({ length: size }, () => Array(size).fill(null));
    for (const [r, c] of [[0, 0], [0, size - 7], [size - 7, 0]])
      for (let y = -1; y <= 7; y++) for (let x = -1; x <= 7; x++) {
        const ring = Math.max(Math.abs(y - 3), Math.abs(x - 3));
        if (m[r + y] && m[r + y][c + x] !== undefined) m[r + y][c + x] = ring !== 2 && ring !== 4;
      }
    for (let i = 8; i < size - 8; i++) m[6][i] = m[i][6] = i % 2 === 0;
    m[size - 8][8] = true;
    return m;
  };
  const format = (m, mask) => {
    let bits = mask << 10; // level M is 00
    for (let i = 14; i >= 10; i--) if (bits >> i & 1) bits ^= 0x537 << i - 10;
    bits = (mask << 10 | bits) ^ 0x5412;
    for (let i = 0; i < 15; i++) {
      const on = (bits >> i & 1) === 1;
      if (i < 6) m[i][8] = on; else if (i < 8) m[i + 1][8] = on; else m[size - 15 + i][8] = on;
      if (i < 8) m[8][size - 1 - i] = on; else if (i === 8) m[8][7] = on; else m[8][14 - i] = on;
    }
  };
  const masks = [(y, x) => (y + x) % 2, (y) => y % 2, (y, x) => x % 3, (y, x) => (y + x) % 3, (y, x) => ((y >> 1) + Math.floor(x / 3)) % 2,
    (y, x) => y * x % 2 + y * x % 3, (y, x) => (y * x % 2 + y * x % 3) % 2, (y, x) => ((y + x) % 2 + y * x % 3) % 2];
  const filled = (bytes, mask) => {
    const m = fixed();
    format(m, mask);
    let i = 0;
    for (let right = size - 1; right > 0; right -= 2) {
      if (right === 6) right--; // the timing
      const up = (size - 1 - right + (right < 6 ? 1 : 0)) / 2 % 2 < 1;
      for (let n = 0; n < size; n++) for (const x of [right, right - 1]) {
        const y = up ? size - 1 - n : n;
        if (m[y][x] !== null) continue;
        const bit = bytes[i >> 3] >> 7 - (i & 7) & 1;
        m[y][x] = (bit === 1) !== (masks[mask](y, x) === 0);
        i++;
      }
    }
    return m;
  };
  // penalty is how hard a code is to read, by the four rules of the standard.
  const penalty = (m) => {
    let sum = 0, dark = 0;
    const lines = m.concat(m[0].map((_, x) => m.map((row) => row[x]))).map((l) => l.map((v) => v ? "1" : "0").join(""));
    for (const l of lines) {
      for (const run of l.match(/1{5,}|0{5,}/g) || []) sum += run.length - 2;
      for (let i = 0; i + 11 <= size; i++) if (["10111010000", "00001011101"].includes(l.slice(i, i + 11))) sum += 40;
    }
    for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
      if (m[y][x]) dark++;
      if (y && x && m[y][x] === m[y - 1][x] && m[y][x] === m[y][x - 1] && m[y][x] === m[y - 1][x - 1]) sum += 3;
    }
    return sum + 10 * Math.floor(Math.abs(dark * 20 / (size * size) - 10));
  };
  const qr = (digits) => {
    const bytes = words(digits);
    const best = masks.map((_, i) => filled(bytes, i)).reduce((a, b) => penalty(b) < penalty(a) ? b : a);
    let d = "";
    best.forEach((row, y) => row.forEach((on, x) => { if (on) d += `M${x + border} ${y + border}h1v1h-1z`; }));
    return d;
  };
  return { bars, qr };
})();
