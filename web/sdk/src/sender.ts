import {
  CAMERA_LAYERS,
  CAMERA_STREAM,
  canSend,
  layersFor,
  narrowCodecs,
  type PictureCodec,
  SHARE_PLANS,
  SHARED_SOUND,
  type ShareMode,
  TEMPORAL_LAYERS,
  watchedLayers,
} from "./encodings.js";
import type { TrackSource } from "./proto.js";

/** The kind of media that a source is. */
export function kindOf(source: TrackSource): "audio" | "video" {
  return source === "microphone" || source === "screenAudio" ? "audio" : "video";
}

/**
 * One send transceiver. What it should send — the track, the layers that are watched, the mode of a share — may change at any
 * time and in any order: each change is put to the browser after the one before it, as things stand by then.
 */
export class Sender {
  readonly source: TrackSource;
  readonly #transceiver: RTCRtpTransceiver;
  #work: Promise<unknown> = Promise.resolve();
  #width = 1280;
  #watched: readonly boolean[] | null = null;
  #mode: ShareMode;

  constructor(
    connection: RTCPeerConnection,
    source: TrackSource,
    mode: ShareMode,
    codec: PictureCodec = "vp8",
  ) {
    this.source = source;
    this.#mode = mode;
    const sent = codec === "vp8" || canSend(codec) ? codec : "vp8";
    this.#transceiver = addTransceiver(connection, source, mode, sent);
    narrowCodecs(this.#transceiver, kindOf(source), [sent]);
  }

  get mid(): string {
    return this.#transceiver.mid ?? "";
  }

  /** Puts a track on the wire, or takes it off. Nobody renegotiates. */
  replace(track: MediaStreamTrack | null): Promise<void> {
    return this.#then(async () => {
      if (track) {
        this.#width = track.getSettings().width ?? 1280;
        await this.#tune();
      }
      await this.#transceiver.sender.replaceTrack(track);
    });
  }

  /** The server says which layers anybody watches, smallest first: the others rest. */
  watch(layers: readonly boolean[]): Promise<void> {
    this.#watched = [...layers];
    return this.#then(() => this.#tune());
  }

  share(mode: ShareMode): Promise<void> {
    this.#mode = mode;
    return this.#then(() => this.#tune());
  }

  #then(step: () => Promise<void>): Promise<void> {
    const done = this.#work.then(step);
    this.#work = done.catch(() => undefined);
    return done;
  }

  async #tune(): Promise<void> {
    if (kindOf(this.source) === "audio") return;
    try {
      await this.#set();
    } catch {
      // An offer that was answered meanwhile makes the parameters stale: once more, with fresh ones.
      await this.#set();
    }
  }

  async #set(): Promise<void> {
    const { sender } = this.#transceiver;
    const parameters = sender.getParameters();
    const before = JSON.stringify(parameters);
    if (this.source === "camera") {
      const plans = watchedLayers(layersFor(this.#width), this.#watched);
      for (const encoding of parameters.encodings) {
        const plan = plans.find(({ rid }) => rid === encoding.rid);
        // One stream of all layers rests as a whole.
        if (!encoding.rid) encoding.active = this.#watched?.some(Boolean) ?? true;
        if (plan)
          Object.assign(encoding, { active: plan.active, scaleResolutionDownBy: plan.scaleResolutionDownBy });
      }
    } else {
      const { degradationPreference, ...limits } = SHARE_PLANS[this.#mode];
      const active = this.#watched?.some(Boolean) ?? true;
      for (const encoding of parameters.encodings) Object.assign(encoding, { ...limits, active });
      parameters.degradationPreference = degradationPreference;
    }
    if (JSON.stringify(parameters) !== before) await sender.setParameters(parameters);
  }
}

function addTransceiver(
  connection: RTCPeerConnection,
  source: TrackSource,
  mode: ShareMode,
  codec: PictureCodec,
): RTCRtpTransceiver {
  const add = (sendEncodings: RTCRtpEncodingParameters[]) =>
    connection.addTransceiver(kindOf(source), { direction: "sendonly", sendEncodings });
  if (source === "microphone") return connection.addTransceiver("audio", { direction: "sendonly" });
  if (source === "screenAudio") return add([{ ...SHARED_SOUND }]);
  const { maxBitrate, maxFramerate } = SHARE_PLANS[mode];
  const camera = codec === "vp8" ? CAMERA_LAYERS : [CAMERA_STREAM];
  const layers: readonly RTCRtpEncodingParameters[] =
    source === "camera" ? camera : [{ maxBitrate, maxFramerate }];
  try {
    return add(layers.map((layer) => ({ scalabilityMode: TEMPORAL_LAYERS, ...layer })));
  } catch {
    // A browser that has no such mode says so.
    return add(layers.map((layer) => ({ ...layer, scalabilityMode: undefined })));
  }
}
