// Runs in every page before its own scripts: replaces camera, microphone and screen by media that can be told apart from the
// other side. Plain JavaScript, because it is injected as text.
//
// The picture is a grid of 8 × 5 black or white cells, so coarse that it survives VP8 at 80 × 45:
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
  const options = Object.assign(
    { id: 1, width: 320, height: 180, fps: 15, screenId: 33 },
    globalThis.__mediaOptions,
  );

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

  const frequencyOf = (id) => 400 + 130 * (id % 32);

  const paint = (canvas, context, id, counter, flash) => {
    const width = canvas.width / COLUMNS;
    const height = canvas.height / ROWS;
    cellsOf(id, counter, flash).forEach((cell, index) => {
      context.fillStyle = cell ? "#fff" : "#000";
      const x = (index % COLUMNS) * width;
      const y = Math.floor(index / COLUMNS) * height;
      context.fillRect(x, y, Math.ceil(width), Math.ceil(height));
    });
  };

  // Firefox's AudioContext stays suspended on a machine without a sound card (Chromium has a null device), so there the tone is a
  // played WAV file, and the ear is a recording of 0.4 s at a time that an OfflineAudioContext decodes: neither needs a device.
  const firefox = "mozCaptureStream" in HTMLMediaElement.prototype;

  let audio;
  const audioContext = () => {
    audio ??= new AudioContext();
    void audio.resume();
    return audio;
  };

  // Flash and tone begin together.
  const beeping = () => (tone ? tone.currentTime % 1 < 0.5 : performance.now() % 1000 < 500);

  const canvasTrack = (id, width, height, fps) => {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d", { alpha: false });
    let counter = 0;
    const draw = () => paint(canvas, context, id, counter++, beeping());
    draw();
    const [track] = canvas.captureStream(fps).getVideoTracks();
    const timer = setInterval(
      () => (track.readyState === "ended" ? clearInterval(timer) : draw()),
      1000 / fps,
    );
    return track;
  };

  const oscillatorTrack = (id) => {
    const context = audioContext();
    const oscillator = new OscillatorNode(context, { frequency: frequencyOf(id) });
    const gain = new GainNode(context, { gain: 0 });
    const sink = context.createMediaStreamDestination();
    oscillator.connect(gain).connect(sink);
    oscillator.start();
    const [track] = sink.stream.getAudioTracks();
    const timer = setInterval(() => {
      if (track.readyState === "ended") {
        oscillator.stop();
        clearInterval(timer);
      } else gain.gain.value = beeping() ? 0.3 : 0;
    }, 20);
    return track;
  };

  /** One second of the tone as a WAV file: half beep, half silence. */
  const wavOf = (id) => {
    const rate = 16_000;
    const view = new DataView(new ArrayBuffer(44 + rate * 2));
    const text = (at, value) => {
      for (let index = 0; index < value.length; index += 1)
        view.setUint8(at + index, value.charCodeAt(index));
    };
    text(0, "RIFF");
    view.setUint32(4, 36 + rate * 2, true);
    text(8, "WAVEfmt ");
    view.setUint32(16, 16, true);
    view.setUint16(20, 1, true);
    view.setUint16(22, 1, true);
    view.setUint32(24, rate, true);
    view.setUint32(28, rate * 2, true);
    view.setUint16(32, 2, true);
    view.setUint16(34, 16, true);
    text(36, "data");
    view.setUint32(40, rate * 2, true);
    for (let index = 0; index < rate / 2; index += 1) {
      const sample = 9000 * Math.sin((2 * Math.PI * frequencyOf(id) * index) / rate);
      view.setInt16(44 + index * 2, sample, true);
    }
    return new Blob([view.buffer], { type: "audio/wav" });
  };

  let tone;
  const wavTrack = async (id) => {
    const url = URL.createObjectURL(wavOf(id));
    tone = new Audio(url);
    tone.loop = true;
    const stream = tone.mozCaptureStream();
    await tone.play();
    while (stream.getAudioTracks().length === 0) {
      await new Promise((resolve) => stream.addEventListener("addtrack", resolve, { once: true }));
    }
    return stream.getAudioTracks()[0].clone();
  };

  const toneTrack = (id) => (firefox ? wavTrack(id) : oscillatorTrack(id));

  const numberOf = (constraint, fallback) =>
    typeof constraint === "number" ? constraint : (constraint?.exact ?? constraint?.ideal ?? fallback);
  const deviceOf = (constraint) => numberOf(constraint?.deviceId, undefined);
  const named = (track, deviceId, label) => {
    const settings = track.getSettings.bind(track);
    track.getSettings = () => ({ ...settings(), deviceId });
    Object.defineProperty(track, "label", { get: () => label });
    return track;
  };

  const camera = (constraint) => {
    const deviceId = deviceOf(constraint) ?? "camera-1";
    // The second camera shows another id, so that a switch can be seen from the other side.
    const id = deviceId === "camera-2" ? options.id + 16 : options.id;
    return named(canvasTrack(id, options.width, options.height, options.fps), deviceId, `Test ${deviceId}`);
  };
  const microphone = async (constraint) => {
    const deviceId = deviceOf(constraint) ?? "microphone-1";
    return named(await toneTrack(options.id), deviceId, `Test ${deviceId}`);
  };

  const media = navigator.mediaDevices;
  if (media) {
    media.getUserMedia = async (constraints = {}) => {
      if (options.refuse) throw new DOMException("Permission denied", "NotAllowedError");
      const tracks = [];
      if (constraints.audio) tracks.push(await microphone(constraints.audio));
      if (constraints.video) tracks.push(camera(constraints.video));
      return new MediaStream(tracks);
    };
    media.getDisplayMedia = async () =>
      new MediaStream([named(canvasTrack(options.screenId, 1280, 720, 5), "screen", "Test screen")]);
    media.enumerateDevices = async () =>
      ["camera-1", "camera-2", "microphone-1", "microphone-2"].map((deviceId) => ({
        deviceId,
        groupId: "test",
        kind: deviceId.startsWith("camera") ? "videoinput" : "audioinput",
        label: `Test ${deviceId}`,
        toJSON: () => ({}),
      }));
  }

  const reading = document.createElement("canvas");
  reading.width = 80;
  reading.height = 45;

  /** What a <video> shows now: {id, counter, flash, width}, or null when the picture is not ours or not readable. */
  const readVideo = (video) => {
    if (!video.videoWidth) return null;
    const context = reading.getContext("2d", { alpha: false, willReadFrequently: true });
    context.drawImage(video, 0, 0, reading.width, reading.height);
    const { data } = context.getImageData(0, 0, reading.width, reading.height);
    const light = [];
    for (let row = 0; row < ROWS; row += 1) {
      for (let column = 0; column < COLUMNS; column += 1) {
        let sum = 0;
        for (let y = row * 9 + 3; y < row * 9 + 6; y += 1) {
          for (let x = column * 10 + 3; x < column * 10 + 7; x += 1) sum += data[(y * 80 + x) * 4 + 1];
        }
        light.push(sum / 12);
      }
    }
    const mark = light.slice(32);
    const white = mark.filter((_, index) => MARK[index] === 1);
    const black = mark.filter((_, index) => MARK[index] === 0);
    if (Math.min(...white) - Math.max(...black) < 60) return null;
    const threshold = (Math.min(...white) + Math.max(...black)) / 2;
    const cells = light.map((value) => (value > threshold ? 1 : 0));
    const bits = cells.slice(8, 32).reduce((value, cell) => (value << 1) | cell, 0);
    const word = bits >> 8;
    if (crc8([word >> 8, word & 0xff]) !== (bits & 0xff)) return null;
    return { id: word >> 10, counter: word & 0x3ff, flash: cells[0] === 1, width: video.videoWidth };
  };

  const analyse = (stream, heard) => {
    const context = audioContext();
    const analyser = new AnalyserNode(context, { fftSize: 4096, smoothingTimeConstant: 0 });
    context.createMediaStreamSource(stream).connect(analyser);
    const spectrum = new Float32Array(analyser.frequencyBinCount);
    const binOf = (id) => Math.round((frequencyOf(id) * analyser.fftSize) / context.sampleRate);
    setInterval(() => {
      analyser.getFloatFrequencyData(spectrum);
      heard.polls += 1;
      for (let id = 1; id < 16; id += 1) {
        const bin = binOf(id);
        const peak = Math.max(spectrum[bin - 1], spectrum[bin], spectrum[bin + 1]);
        // Loud enough, and a peak: well above what lies half a step to either side.
        if (peak > -60 && peak > Math.max(spectrum[bin - 5], spectrum[bin + 5]) + 15)
          heard.tones[id] = performance.now();
      }
    }, 50);
  };

  /** The amplitude of one frequency in samples (Goertzel's algorithm). */
  const amplitude = (samples, rate, frequency) => {
    const coefficient = 2 * Math.cos((2 * Math.PI * frequency) / rate);
    let [last, before] = [0, 0];
    for (const sample of samples) [last, before] = [sample + coefficient * last - before, last];
    return (2 * Math.sqrt(last * last + before * before - coefficient * last * before)) / samples.length;
  };

  const record = async (stream, heard) => {
    for (;;) {
      const recorder = new MediaRecorder(new MediaStream(stream.getAudioTracks()), {
        mimeType: "audio/webm;codecs=opus",
      });
      const chunks = [];
      recorder.ondataavailable = ({ data }) => chunks.push(data);
      const stopped = new Promise((resolve) => {
        recorder.onstop = resolve;
      });
      recorder.start();
      setTimeout(() => recorder.state === "recording" && recorder.stop(), 400);
      await stopped;
      try {
        const bytes = await new Blob(chunks).arrayBuffer();
        const samples = (
          await new OfflineAudioContext(1, 48_000, 48_000).decodeAudioData(bytes)
        ).getChannelData(0);
        heard.polls += 1;
        for (let id = 1; id < 16; id += 1) {
          const here = amplitude(samples, 48_000, frequencyOf(id));
          const around = Math.max(
            amplitude(samples, 48_000, frequencyOf(id) - 65),
            amplitude(samples, 48_000, frequencyOf(id) + 65),
          );
          if (here > 0.005 && here > around * 4) heard.tones[id] = performance.now();
        }
      } catch {
        // A recording without a single packet does not decode: nothing was heard.
      }
    }
  };

  const ears = new WeakMap();
  /** Listens to a stream from now on: {polls, tones: {[id]: when that tone was heard last, as performance.now()}}. */
  const hear = (stream) => {
    const known = ears.get(stream);
    if (known) return known;
    const heard = { polls: 0, tones: {} };
    ears.set(stream, heard);
    if (firefox) void record(stream, heard);
    else analyse(stream, heard);
    return heard;
  };

  // Offers are counted: in a call, others come and go without one.
  let offers = 0;
  const connections = new Set();
  if (globalThis.RTCPeerConnection) {
    const { createOffer } = RTCPeerConnection.prototype;
    const truth = Object.getOwnPropertyDescriptor(RTCPeerConnection.prototype, "connectionState");
    RTCPeerConnection.prototype.createOffer = function (...args) {
      offers += 1;
      connections.add(this);
      Object.defineProperty(RTCPeerConnection.prototype, "connectionState", truth);
      return createOffer.apply(this, args);
    };
  }

  globalThis.__media = {
    get offers() {
      return offers;
    },
    options,
    canvasTrack,
    /** The ICE names that the page's connections use now. */
    usernames: () =>
      [...connections].map(
        (connection) => /a=ice-ufrag:(\S+)/.exec(connection.currentLocalDescription?.sdp ?? "")?.[1],
      ),
    /** Makes every connection of the page seem to have failed, until it makes an offer: as when the network changed under it. */
    failConnections() {
      Object.defineProperty(RTCPeerConnection.prototype, "connectionState", {
        get: () => "failed",
        configurable: true,
      });
      for (const connection of connections) connection.dispatchEvent(new Event("connectionstatechange"));
    },
    readVideo,
    hear,
    frequencyOf,
  };
})();
