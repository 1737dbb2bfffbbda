/** The simulcast layers of a camera, smallest first, with the bitrates of 320 × 180, 640 × 360 and 1280 × 720. */
export const CAMERA_LAYERS: readonly RTCRtpEncodingParameters[] = [
  { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 120_000 },
  { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 400_000 },
  { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_200_000 },
];

export const SCREEN_LAYER: RTCRtpEncodingParameters = { maxBitrate: 2_500_000, maxFramerate: 15 };

interface LayerPlan {
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

/** VP8 with its retransmissions, or Opus: what every browser has, and the server needs no more. */
export function narrowCodecs(transceiver: RTCRtpTransceiver, kind: "audio" | "video"): void {
  const wanted = kind === "audio" ? /^audio\/opus$/i : /^video\/(vp8|rtx)$/i;
  const codecs = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => wanted.test(mimeType)));
}
