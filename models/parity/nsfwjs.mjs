// Says what nsfwjs sees: one line of JSON for each WebP file that is named, with its probabilities by label.
// nsfwjs and tfjs are unchanged; the pictures are decoded by libwebp (as WebAssembly), which shares nothing with the server's decoder.
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";

import decode, { init } from "@jsquash/webp/decode.js";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { load } from "nsfwjs/core";
import { MobileNetV2Model } from "nsfwjs/models/mobilenet_v2";

const { resolve } = createRequire(import.meta.url);

// These are for people at a browser's console.
console.info = console.warn = () => {};
const wasm = resolve("@tensorflow/tfjs-backend-wasm").replace(/[^/]*$/, "");
setWasmPaths(wasm);
await tf.setBackend("wasm");
await init(await WebAssembly.compile(await readFile(resolve("@jsquash/webp/codec/dec/webp_dec.wasm"))));
// libwebp gives its pixels to a class of browsers, which Node has not.
globalThis.ImageData ??= class {
  constructor(data, width, height) {
    Object.assign(this, { data, width, height });
  }
};

const net = await load("MobileNetV2", { modelDefinitions: [MobileNetV2Model] });
for (const file of process.argv.slice(2)) {
  const { data, width, height } = await decode(await readFile(file));
  // Without the fourth value, opacity, which a frame of video has not.
  const rgb = data.filter((_, i) => i % 4 !== 3);
  const picture = tf.tensor3d(rgb, [height, width, 3], "int32");
  const classes = await net.classify(picture);
  picture.dispose();
  const probabilities = Object.fromEntries(classes.map(({ className, probability }) => [className, probability]));
  process.stdout.write(`${JSON.stringify({ file, width, height, probabilities })}\n`);
}
