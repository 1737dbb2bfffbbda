// The test picture, apart from any page: the tests read the frames of recorded files with it too. Plain JavaScript, because it is
// injected as text.
//
// It is a grid of 8 × 5 black or white cells, so coarse that it survives VP8 at 80 × 45:
//
//   row 0       white while the beep sounds (the flash), else black
//   rows 1–3    24 bits: id (6), counter (10), CRC-8 of both
//   row 4       1 0 1 0 0 1 0 1, which gives the threshold and shows that this is our picture
//
// The sound is a tone of 400 + 130 × id Hz, half a second in every second.
(() => {
  const COLUMNS = 8;
  const ROWS = 5;
  const MARK = [1, 0, 1, 0, 0, 1, 0, 1];
  /** The size at which a picture is read. */
  const WIDTH = 80;
  const HEIGHT = 45;

  const crc8 = (bytes) => {
    let crc = 0xff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : (crc << 1) & 0xff;
    }
    return crc;
  };

  const cellsOf = (id, counter, flash) => {
    const word = ((id & 0x3f) << 10) | (counter & 0x3ff);
    const bits = (word << 8) | crc8([word >> 8, word & 0xff]);
    const cells = Array(COLUMNS).fill(flash ? 1 : 0);
    for (let bit = 23; bit >= 0; bit -= 1) cells.push((bits >> bit) & 1);
    return cells.concat(MARK);
  };

  /** What 80 × 45 points say, of which `light` gives the brightness: {id, counter, flash}, or null when it is not our picture. */
  const read = (light) => {
    const cell = (row, column) => {
      let sum = 0;
      for (let y = row * 9 + 3; y < row * 9 + 6; y += 1) {
        for (let x = column * 10 + 3; x < column * 10 + 7; x += 1) sum += light(y * WIDTH + x);
      }
      return sum / 12;
    };
    const lights = Array.from({ length: ROWS * COLUMNS }, (_, index) =>
      cell(Math.floor(index / COLUMNS), index % COLUMNS),
    );
    const mark = lights.slice(32);
    const white = mark.filter((_, index) => MARK[index] === 1);
    const black = mark.filter((_, index) => MARK[index] === 0);
    if (Math.min(...white) - Math.max(...black) < 60) return null;
    const threshold = (Math.min(...white) + Math.max(...black)) / 2;
    const cells = lights.map((value) => (value > threshold ? 1 : 0));
    const bits = cells.slice(8, 32).reduce((value, bit) => (value << 1) | bit, 0);
    const word = bits >> 8;
    if (crc8([word >> 8, word & 0xff]) !== (bits & 0xff)) return null;
    return { id: word >> 10, counter: word & 0x3ff, flash: cells[0] === 1 };
  };

  const frequencyOf = (id) => 400 + 130 * (id % 32);

  /** The amplitude of one frequency in samples (Goertzel's algorithm). */
  const amplitude = (samples, rate, frequency) => {
    const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / rate);
    let [last, before] = [0, 0];
    for (const sample of samples) [last, before] = [sample + coefficient * last - before, last];
    return (2 * Math.sqrt(last * last + before * before - coefficient * last * before)) / samples.length;
  };

  globalThis.__blocks = { COLUMNS, ROWS, WIDTH, HEIGHT, cellsOf, read, frequencyOf, amplitude };
})();
