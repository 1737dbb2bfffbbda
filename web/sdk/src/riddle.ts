/** What the server asks of whom it does not know (proof of work in ALTCHA's form): find the number. */
export interface Riddle {
  /** The SHA-256 of the salt and the number behind it, in hexadecimal digits. */
  challenge: string;
  salt: string;
  /** The number is not larger than this. */
  maxnumber: number;
  signature: string;
}

export interface Solution {
  challenge: string;
  salt: string;
  signature: string;
  number: number;
}

/** Numbers tried before the page has its turn: some milliseconds on a telephone. */
const AT_ONCE = 2_000;
/** Harder riddles than this are none that a person's device should solve. */
const MOST = 10_000_000;

/** The solution; null when the riddle has none. The page stays alive meanwhile. */
export async function solve(riddle: Riddle): Promise<Solution | null> {
  const { challenge, salt, signature } = riddle;
  const most = Math.min(riddle.maxnumber, MOST);
  const wanted = challenge.toLowerCase();
  for (let number = 0; number <= most; number += 1) {
    if (sha256(`${salt}${number}`) === wanted) return { challenge, salt, signature, number };
    if (number % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setTimeout(resolve));
  }
  return null;
}

/** FIPS 180-4, sections 5.3.3 and 4.2.2: the fractional parts of the roots of the first primes. */
const [START, ROUNDS] = roots();

function roots(): [Uint32Array, Uint32Array] {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < 64; candidate += 1) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  const fraction = (root: number) => Math.floor((root - Math.floor(root)) * 2 ** 32);
  return [
    Uint32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime))),
    Uint32Array.from(primes, (prime) => fraction(Math.cbrt(prime))),
  ];
}

/**
 * SHA-256 in hexadecimal digits (FIPS 180-4). WebCrypto's is not there on pages without TLS, and a promise for each of a hundred
 * thousand numbers takes longer than the hash.
 */
export function sha256(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const blocks = new Uint8Array(64 * Math.ceil((bytes.length + 9) / 64));
  blocks.set(bytes);
  blocks[bytes.length] = 0x80;
  const view = new DataView(blocks.buffer);
  view.setUint32(blocks.length - 4, bytes.length * 8);
  const hash = START.slice();
  const words = new Uint32Array(64);
  for (let at = 0; at < blocks.length; at += 64) compress(hash, words, view, at);
  return Array.from(hash, (word) => word.toString(16).padStart(8, "0")).join("");
}

const turn = (word: number, bits: number) => (word >>> bits) | (word << (32 - bits));

/** FIPS 180-4, section 6.2.2. */
function compress(hash: Uint32Array, words: Uint32Array, block: DataView, from: number): void {
  for (let t = 0; t < 16; t += 1) words[t] = block.getUint32(from + 4 * t);
  const word = (t: number) => words[t] as number;
  for (let t = 16; t < 64; t += 1) {
    const [early, late] = [word(t - 15), word(t - 2)];
    const first = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
    const second = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
    words[t] = word(t - 16) + first + word(t - 7) + second;
  }
  const at = (index: number) => hash[index] as number;
  let [a, b, c, d, e, f, g, h] = [at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7)];
  for (let t = 0; t < 64; t += 1) {
    const sum = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const one = (h + sum + ((e & f) ^ (~e & g)) + (ROUNDS[t] as number) + word(t)) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((value, index) => {
    hash[index] = at(index) + value;
  });
}
