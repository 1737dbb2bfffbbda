import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { BrowserContext } from "@playwright/test";

export interface MediaOptions {
  /** 1 to 15: what this page's camera shows and its microphone sounds. */
  id: number;
  width?: number;
  height?: number;
  fps?: number;
  /** What this page's screen shows, 32 to 63. */
  screenId?: number;
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

declare global {
  var __media: {
    options: Required<MediaOptions>;
    /** How many offers the page has made. */
    readonly offers: number;
    usernames(): (string | undefined)[];
    failConnections(): void;
    /** A camera of any id. */
    canvasTrack(id: number, width: number, height: number, fps: number): MediaStreamTrack;
    readVideo(video: HTMLVideoElement): Picture | null;
    hear(stream: MediaStream): { polls: number; tones: Record<number, number> };
    frequencyOf(id: number): number;
  };
}

const script = readFileSync(fileURLToPath(new URL("page.js", import.meta.url)), "utf8");

/** Gives every page of this context a camera, a microphone and a screen of our own making. */
export async function installMedia(context: BrowserContext, options: MediaOptions): Promise<void> {
  await context.addInitScript({
    content: `globalThis.__mediaOptions = ${JSON.stringify(options)};\n${script}`,
  });
}
