import { Emitter, SHARE_PLANS, type ShareMode } from "@parlor/sdk";
import { isOn } from "../place/place.ts";

/** What the page captures, independent of any call. */
export interface Capture {
  microphone: MediaStreamTrack | null;
  camera: MediaStreamTrack | null;
  screen: MediaStreamTrack | null;
  /** The sound of what is shared, where the browser gives it. */
  screenAudio: MediaStreamTrack | null;
  /** What the screen is shared for. */
  shareMode: ShareMode;
  /** The user's wish; the microphone's track lives on while it is muted. */
  microphoneOn: boolean;
  cameraOn: boolean;
  microphoneId: string | null;
  cameraId: string | null;
  /** Where sound is played; null for the browser's own choice. */
  speakerId: string | null;
  devices: MediaDeviceInfo[];
  /** The browser or the user refused. */
  denied: boolean;
}

const SOUND: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};
const PICTURE: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30 },
};

/** False on a page without a secure context: browsers then have no `mediaDevices` at all. */
export const canCapture = typeof navigator.mediaDevices?.getUserMedia === "function";
export const canShare = typeof navigator.mediaDevices?.getDisplayMedia === "function";

/** Camera, microphone and screen of this page. */
export class LocalMedia extends Emitter<{ change: Capture }> {
  #capture: Capture = {
    microphone: null,
    camera: null,
    screen: null,
    screenAudio: null,
    shareMode: "detail",
    microphoneOn: true,
    cameraOn: true,
    microphoneId: null,
    cameraId: null,
    speakerId: null,
    devices: [],
    denied: false,
  };
  #closed = false;

  get capture(): Capture {
    return this.#capture;
  }

  /** The camera stays off when this opens: a call by voice. It can be switched on later. */
  withoutCamera(): void {
    this.#set({ cameraOn: false });
  }

  /** Opens camera and microphone; with one of them missing, the other. */
  async open(): Promise<void> {
    this.#closed = false;
    if (!canCapture) {
      this.#set({ denied: true, microphoneOn: false, cameraOn: false });
      return;
    }
    navigator.mediaDevices.addEventListener?.("devicechange", this.#listDevices);
    const { microphoneOn, cameraOn } = this.#capture;
    // What is not offered here is not opened either: its track would be refused.
    const [sound, picture] = [isOn("voice") && this.#sound(), isOn("video") && this.#picture()];
    const wanted: MediaStreamConstraints[] = [
      { audio: sound, video: cameraOn && picture },
      { audio: sound },
      { video: picture },
    ].filter(({ audio, video }) => Boolean(audio || video));
    if (wanted.length === 0) {
      this.#set({ microphoneOn: false, cameraOn: false });
      return;
    }
    for (const constraints of wanted) {
      const stream = await navigator.mediaDevices.getUserMedia(constraints).catch(() => null);
      if (!stream) continue;
      const microphone = stream.getAudioTracks()[0] ?? null;
      const camera = stream.getVideoTracks()[0] ?? null;
      if (this.#closed) {
        microphone?.stop();
        camera?.stop();
        return;
      }
      this.#set({
        microphone,
        camera,
        microphoneOn: microphoneOn && microphone !== null,
        cameraOn: camera !== null,
        microphoneId: idOf(microphone),
        cameraId: idOf(camera),
        denied: false,
      });
      await this.#listDevices();
      return;
    }
    this.#set({ denied: true, microphoneOn: false, cameraOn: false });
  }

  async toggleMicrophone(): Promise<void> {
    const { microphone, microphoneOn } = this.#capture;
    if (microphone) this.#set({ microphoneOn: !microphoneOn });
    else await this.#use("microphone", null);
  }

  /** Mutes the microphone, if it is not muted. */
  silence(): void {
    if (this.#capture.microphoneOn) this.#set({ microphoneOn: false });
  }

  stopCamera(): void {
    this.#capture.camera?.stop();
    this.#set({ camera: null, cameraOn: false });
  }

  /** Off means off: the device is let go, and its light goes out. */
  async toggleCamera(): Promise<void> {
    const { camera, cameraId } = this.#capture;
    if (camera) this.stopCamera();
    else await this.#use("camera", cameraId);
  }

  /** Switches to another device. */
  async choose(kind: "microphone" | "camera", deviceId: string): Promise<void> {
    if (kind === "camera" && !this.#capture.cameraOn) this.#set({ cameraId: deviceId });
    else await this.#use(kind, deviceId);
  }

  chooseSpeaker(speakerId: string): void {
    this.#set({ speakerId });
  }

  async share(): Promise<void> {
    const video = framesOf(this.#capture.shareMode);
    // What is shared must not be taken for speech: nothing in it is noise.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getDisplayMedia({ video, audio }).catch(() => null);
    const screen = stream?.getVideoTracks()[0];
    if (!screen) return;
    const screenAudio = stream?.getAudioTracks()[0] ?? null;
    screen.addEventListener("ended", () => this.#capture.screen === screen && this.stopSharing());
    this.stopSharing();
    this.#set({ screen, screenAudio });
  }

  stopSharing(): void {
    this.#capture.screen?.stop();
    this.#capture.screenAudio?.stop();
    this.#set({ screen: null, screenAudio: null });
  }

  /** Sharp for reading, or smooth for watching; also while the screen is shared. */
  chooseShareMode(shareMode: ShareMode): void {
    this.#set({ shareMode });
    // A source that cannot change its rate goes on as it is: the sender thins it out.
    this.#capture.screen?.applyConstraints(framesOf(shareMode)).catch(() => undefined);
  }

  close(): void {
    this.#closed = true;
    const { microphone, camera, screen, screenAudio } = this.#capture;
    for (const track of [microphone, camera, screen, screenAudio]) track?.stop();
    navigator.mediaDevices?.removeEventListener?.("devicechange", this.#listDevices);
    this.#set({ microphone: null, camera: null, screen: null, screenAudio: null });
  }

  async #use(kind: "microphone" | "camera", deviceId: string | null): Promise<void> {
    const constraints =
      kind === "microphone" ? { audio: this.#sound(deviceId) } : { video: this.#picture(deviceId) };
    const stream = canCapture
      ? await navigator.mediaDevices.getUserMedia(constraints).catch(() => null)
      : null;
    const track = stream?.getTracks()[0] ?? null;
    if (!track) {
      this.#set({ denied: true });
      return;
    }
    if (this.#closed) {
      track.stop();
      return;
    }
    this.#capture[kind]?.stop();
    if (kind === "microphone")
      this.#set({ microphone: track, microphoneOn: true, microphoneId: idOf(track), denied: false });
    else this.#set({ camera: track, cameraOn: true, cameraId: idOf(track), denied: false });
    await this.#listDevices();
  }

  #sound(deviceId: string | null = this.#capture.microphoneId): MediaTrackConstraints {
    return deviceId ? { ...SOUND, deviceId: { exact: deviceId } } : SOUND;
  }

  #picture(deviceId: string | null = this.#capture.cameraId): MediaTrackConstraints {
    return deviceId ? { ...PICTURE, deviceId: { exact: deviceId } } : PICTURE;
  }

  readonly #listDevices = async (): Promise<void> => {
    this.#set({ devices: await navigator.mediaDevices.enumerateDevices().catch(() => []) });
  };

  #set(part: Partial<Capture>): void {
    this.#capture = { ...this.#capture, ...part };
    this.emit("change", this.#capture);
  }
}

function framesOf(mode: ShareMode): MediaTrackConstraints {
  const { maxFramerate } = SHARE_PLANS[mode];
  return { frameRate: { ideal: maxFramerate, max: maxFramerate } };
}

function idOf(track: MediaStreamTrack | null): string | null {
  return track?.getSettings().deviceId ?? null;
}
