/** Three temporal layers where the browser has them: the server can halve the frame rate without a key frame. */
export const TEMPORAL_LAYERS = "L1T3";

/** The simulcast layers of a camera, smallest first, with the bitrates of 320 × 180, 640 × 360 and 1280 × 720. */
export const CAMERA_LAYERS: readonly RTCRtpEncodingParameters[] = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];

/** What pictures are sent in: VP8, which everybody can see, or where the server takes them VP9 or AV1, for those who have them too. */
export type PictureCodec = "vp8" | "vp9" | "av1";

/**
 * A camera in VP9 or AV1: one stream of three sizes and three frame rates, which refer to each other in key pictures alone. The
 * server leaves out what is too much for somebody's line.
 */
export const CAMERA_STREAM: RTCRtpEncodingParameters & { scalabilityMode: string } = {
  maxBitrate: 1_700_000,
  scalabilityMode: "L3T3_KEY",
};

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
 * The codecs of a section with their retransmissions: what every browser has, and what the server needs. A slot takes VP8, VP9 and
 * AV1, a sender the chosen codec and VP8 behind it; a browser without VP8 gets by with H.264. Opus is redundant where the browser can.
 */
export function narrowCodecs(
  transceiver: RTCRtpTransceiver,
  kind: "audio" | "video",
  pictures: readonly PictureCodec[] = ["vp8"],
): void {
  const codecs = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  const names = kind === "audio" ? ["red", "opus"] : [...pictures.filter((name) => name !== "vp8"), "vp8"];
  if (kind === "video" && !codecs.some(({ mimeType }) => isNamed(mimeType, "vp8"))) names.push("h264");
  // In order: who prefers redundant audio sends it, and a lost packet is then made good by the next one, without asking.
  const narrowed = [...names, "rtx"].flatMap((name) =>
    codecs.filter(
      ({ mimeType, sdpFmtpLine }) => isNamed(mimeType, name) && !OTHER_PROFILE.test(sdpFmtpLine ?? ""),
    ),
  );
  transceiver.setCodecPreferences(narrowed);
}

/** VP9 and AV1 in more colours than eight bits and half the resolution: cameras have none. */
const OTHER_PROFILE = /(^|;)\s*profile(-id)?=[1-9]/;

/** Whether this browser can send pictures in that codec. */
export function canSend(codec: PictureCodec): boolean {
  return (RTCRtpSender.getCapabilities("video")?.codecs ?? []).some(({ mimeType }) =>
    isNamed(mimeType, codec),
  );
}

function isNamed(mimeType: string, name: string): boolean {
  return mimeType.toLowerCase().endsWith(`/${name}`);
}
