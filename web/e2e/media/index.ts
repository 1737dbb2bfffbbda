import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runInThisContext } from "node:vm";
import type { BrowserContext } from "@playwright/test";

export interface MediaOptions {
  /** 1 to 15: what this page's camera shows and its microphone sounds. */
  id: number;
  width?: number;
  height?: number;
  fps?: number;
  /** What this page's screen shows, 32 to 63. */
  screenId?: number;
  /** What this page's screen sounds, 1 to 15; 0: nothing. */
  screenTone?: number;
  screenFps?: number;
  /** Sharp blocks; the same out of focus, which the classifier never takes for a drawing; or a drawing, which shows no id. */
  picture?: "blocks" | "soft" | "drawing";
  /** getUserMedia is refused, as by a user who says no. */
  refuse?: boolean;
}

/** What one frame of our picture says. */
export interface Picture {
  id: number;
  counter: number;
  flash: boolean;
  width: number;
}

/** What a picture looks like as a whole. */
export interface Look {
  /** Mean brightness and its standard deviation, 0 to 255. */
  light: number;
  spread: number;
  /** The largest step between neighbours: small when all is blurred. */
  edge: number;
  /** What the blocks in it say, when it shows ours from border to border. */
  picture: Omit<Picture, "width"> | null;
}

/** The test picture, apart from any page: see blocks.js. */
interface Blocks {
  WIDTH: number;
  HEIGHT: number;
  read(light: (point: number) => number): Omit<Picture, "width"> | null;
  frequencyOf(id: number): number;
  amplitude(samples: ArrayLike<number>, rate: number, frequency: number): number;
}

declare global {
  var __blocks: Blocks;
  var __media: {
    options: Required<MediaOptions>;
    /** How many offers the page has made. */
    readonly offers: number;
    usernames(): (string | undefined)[];
    // biome-ignore lint/suspicious/noExplicitAny: each kind of report has members of its own.
    streams(kind: "inbound-rtp" | "outbound-rtp"): Promise<any[]>;
    shares(): (RTCRtpSendParameters & { contentHint: string })[];
    failConnections(): void;
    /** A camera of any id. */
    canvasTrack(id: number, width: number, height: number, fps: number): MediaStreamTrack;
    readVideo(video: HTMLVideoElement): Picture | null;
    look(address: string): Promise<Look>;
    hear(stream: MediaStream): { polls: number; tones: Record<number, number> };
    frequencyOf(id: number): number;
  };
}

const source = (name: string) => readFileSync(fileURLToPath(new URL(name, import.meta.url)), "utf8");
const script = ["blocks.js", "drawing.js", "page.js"].map(source).join("\n");

/** The test picture, for frames that no page shows. */
export function blocks(): Blocks {
  globalThis.__blocks ?? runInThisContext(source("blocks.js"));
  return globalThis.__blocks;
}

/** Gives every page of this context a camera, a microphone and a screen of our own making. */
export async function installMedia(context: BrowserContext, options: MediaOptions): Promise<void> {
  await context.addInitScript({
    content: `globalThis.__mediaOptions = ${JSON.stringify(options)};\n${script}`,
  });
}
