import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { blocks, type Picture } from "./media/index.ts";

const run = promisify(execFile);
const RATE = 48_000;
/** A beep is half a second after half a second of silence: what is closer than this to the last one belongs to it. */
const APART_S = 0.7;

/** What is in a recorded file, read by a program that knows nothing of us. Times are in seconds of the file. */
export interface Film {
  codecs: string[];
  durationS: number;
  /** What ffmpeg complained of while it decoded everything. */
  complaints: string;
  /** Each frame: when it is shown, and what our blocks in it say. */
  frames: { at: number; picture: Omit<Picture, "width"> | null }[];
  /** The sound, 48,000 samples a second, from time 0. */
  sound: Float32Array;
}

export async function readFilm(path: string): Promise<Film> {
  const { WIDTH, HEIGHT, read } = blocks();
  const { streams, format } = JSON.parse(
    await text("ffprobe", ["-show_streams", "-show_format", "-of", "json", path]),
  ) as { streams: { codec_name: string }[]; format: { duration: string } };
  const times = await text("ffprobe", [
    ...["-select_streams", "v:0", "-show_entries", "frame=pts_time", "-of", "csv=p=0", path],
  ]);
  const scale = `scale=${WIDTH}:${HEIGHT}:flags=area,format=gray`;
  const pictures = await decode(path, [
    "-map",
    "0:v:0",
    "-fps_mode",
    "passthrough",
    "-enc_time_base",
    "1/1000",
    "-vf",
    scale,
    "-f",
    "rawvideo",
  ]);
  const resample = `aresample=${RATE}:async=1:first_pts=0`;
  const sound = await decode(path, ["-map", "0:a:0", "-af", resample, "-ac", "1", "-f", "f32le"]);
  const size = WIDTH * HEIGHT;
  const frames = times
    .split("\n")
    .filter(Boolean)
    .map((line, index) => ({
      at: Number.parseFloat(line),
      picture: read((point) => pictures.bytes[index * size + point] ?? 0),
    }));
  if (frames.length * size !== pictures.bytes.length)
    throw new Error(`${frames.length} frames, but ${pictures.bytes.length / size} pictures`);
  return {
    codecs: streams.map(({ codec_name }) => codec_name),
    durationS: Number.parseFloat(format.duration),
    complaints: pictures.complaints + sound.complaints,
    frames,
    sound: new Float32Array(Uint8Array.from(sound.bytes).buffer),
  };
}

/** When the tone of this id begins: after at least a fifth of a second without it. */
export function beeps({ sound }: Film, id: number): number[] {
  const { amplitude, frequencyOf } = blocks();
  const step = RATE / 100;
  const loud: number[] = [];
  for (let at = 0; at + 2 * step <= sound.length; at += step)
    loud.push(amplitude(sound.subarray(at, at + 2 * step), RATE, frequencyOf(id)));
  const threshold = Math.max(0.01, Math.max(...loud) / 3);
  return onsets(loud.map((value, index) => ({ at: index / 100, on: value > threshold })));
}

/** When the flash begins. */
export function flashes({ frames }: Film): number[] {
  return onsets(frames.flatMap(({ at, picture }) => (picture ? [{ at, on: picture.flash }] : [])));
}

function onsets(moments: { at: number; on: boolean }[]): number[] {
  const found: number[] = [];
  moments.forEach(({ at, on }, index) => {
    const before = moments[index - 1];
    if (on && before && !before.on && at - (found.at(-1) ?? Number.NEGATIVE_INFINITY) > APART_S)
      found.push(at);
  });
  return found;
}

/** How much later each flash comes than its beep, in seconds. */
export function lateness(film: Film, id: number): number[] {
  const sounds = beeps(film, id);
  return flashes(film).flatMap((flash) => {
    const [nearest] = sounds.map((beep) => flash - beep).sort((a, b) => Math.abs(a) - Math.abs(b));
    return nearest !== undefined && Math.abs(nearest) < 0.5 ? [nearest] : [];
  });
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

async function text(program: string, options: string[]): Promise<string> {
  return (await run(program, ["-v", "error", ...options], { maxBuffer: 1 << 26 })).stdout;
}

async function decode(path: string, options: string[]): Promise<{ bytes: Buffer; complaints: string }> {
  const { stdout, stderr } = await run("ffmpeg", ["-v", "error", "-copyts", "-i", path, ...options, "-"], {
    encoding: "buffer",
    maxBuffer: 1 << 28,
  });
  return { bytes: stdout, complaints: stderr.toString() };
}
