/** Three temporal layers where the browser has them: the server can halve the frame rate without a key frame. */
export const TEMPORAL_LAYERS = "L1T3";

/** The simulcast layers of a camera, smallest first, with the bitrates of 320 × 180, 640 × 360 and 1280 × 720. */
export const CAMERA_LAYERS: readonly RTCRtpEncodingParameters[] = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];

/** What a share is for: text to be read, sharp and slow, or a moving picture. */
export type ShareMode = "detail" | "motion";

interface SharePlan {
  maxBitrate: number;
  maxFramerate: number;
  degradationPreference: RTCDegradationPreference;
}

/** One layer at full size: a share that is short of bandwidth loses frames, and in detail never pixels. */
export const SHARE_PLANS: Record<ShareMode, SharePlan> = {
  detail: { maxBitrate: 2_500_000, maxFramerate: 15, degradationPreference: "maintain-resolution" },
  motion: { maxBitrate: 4_000_000, maxFramerate: 30, degradationPreference: "balanced" },
};

/** Music and films need more than a voice. */
export const SHARED_SOUND: RTCRtpEncodingParameters = { maxBitrate: 96_000 };

export interface LayerPlan {
  rid: string;
  active: boolean;
  scaleResolutionDownBy: number;
}

/**
 * Which layers a capture of this width is worth: a small one is not scaled down into something unreadable. Browsers drop the
 * upper layers of a small capture by themselves, but keep the scale, and would send a 320 pixel camera 80 pixels wide.
 */
export function layersFor(width: number): LayerPlan[] {
  const scales = width >= 960 ? [4, 2, 1] : width >= 480 ? [2, 1, 0] : [1, 0, 0];
  return ["q", "h", "f"].map((rid, index) => {
    const scale = scales[index] ?? 0;
    return { rid, active: scale > 0, scaleResolutionDownBy: scale || 1 };
  });
}

/**
 * Of the planned layers those that anybody watches, smallest first; all of them where the server has said nothing. Who watches
 * a layer that this capture is not worth gets the next lower one.
 */
export function watchedLayers(plans: readonly LayerPlan[], watched: readonly boolean[] | null): LayerPlan[] {
  const top = plans.findLastIndex(({ active }) => active);
  const isWatched = (at: number) =>
    watched === null || watched.some((layer, index) => layer && Math.min(index, top) === at);
  return plans.map((plan, at) => ({ ...plan, active: plan.active && isWatched(at) }));
}

/**
 * VP8 with its retransmissions, or Opus, redundant where the browser can: what every browser has, and the server needs no more. A
 * browser without VP8 gets by with H.264.
 */
export function narrowCodecs(transceiver: RTCRtpTransceiver, kind: "audio" | "video"): void {
  const codecs = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  const has = (name: RegExp) => codecs.some(({ mimeType }) => name.test(mimeType));
  const picture = has(/^video\/vp8$/i) ? /^video\/(vp8|rtx)$/i : /^video\/(h264|rtx)$/i;
  const wanted = kind === "audio" ? /^audio\/(opus|red)$/i : picture;
  const narrowed = codecs.filter(({ mimeType }) => wanted.test(mimeType));
  // Who prefers redundant audio sends it: a lost packet is then made good by the next one, without asking.
  narrowed.sort((one, other) => Number(isRedundant(other)) - Number(isRedundant(one)));
  transceiver.setCodecPreferences(narrowed);
}

function isRedundant({ mimeType }: RTCRtpCodec): boolean {
  return /^audio\/red$/i.test(mimeType);
}
