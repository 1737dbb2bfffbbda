// Runs in every page before its own scripts: replaces camera, microphone and screen by media that can be told apart from the
// other side. Plain JavaScript, because it is injected as text.
// What the picture and the tone are: blocks.js.
(() => {
  const { COLUMNS, ROWS, WIDTH, HEIGHT, cellsOf, read, frequencyOf, amplitude } = globalThis.__blocks;
  const options = Object.assign(
    { id: 1, width: 320, height: 180, fps: 15, screenId: 33, screenTone: 0, screenFps: 5, picture: "blocks" },
    globalThis.__mediaOptions,
  );

  const blocks = (context, id, counter, flash) => {
    const width = context.canvas.width / COLUMNS;
    const height = context.canvas.height / ROWS;
    cellsOf(id, counter, flash).forEach((cell, index) => {
      context.fillStyle = cell ? "#fff" : "#000";
      const x = (index % COLUMNS) * width;
      const y = Math.floor(index / COLUMNS) * height;
      context.fillRect(x, y, Math.ceil(width), Math.ceil(height));
    });
  };

  const canvasOf = (width, height, willReadFrequently = false) => {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    return canvas.getContext("2d", { alpha: false, willReadFrequently });
  };

  /** How a camera paints: sharp blocks; the same out of focus, which no classifier takes for a drawing; or a drawing. */
  const painters = {
    blocks: () => blocks,
    soft: (context) => {
      const sharp = canvasOf(context.canvas.width, context.canvas.height);
      context.filter = `blur(${(4 * context.canvas.height) / 180}px)`;
      return (_, ...what) => {
        blocks(sharp, ...what);
        context.drawImage(sharp.canvas, 0, 0);
      };
    },
    drawing: () => (context, _, counter) =>
      globalThis.__draw(context, context.canvas.width, context.canvas.height, counter),
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

  // Flash and beep begin together: half a second in every second of this clock, in seconds.
  let clock = () => performance.now() / 1000;
  const beeping = () => clock() % 1 < 0.5;

  const canvasTrack = (id, width, height, fps, picture = "blocks") => {
    const context = canvasOf(width, height);
    const paint = painters[picture](context);
    let counter = 0;
    const draw = () => paint(context, id, counter++, beeping());
    draw();
    const [track] = context.canvas.captureStream(fps).getVideoTracks();
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

  /** Half an hour of beeps as a WAV file, each second alike. Not looped: a loop's clock jumps. */
  const wavOf = (id) => {
    const rate = 8_000;
    const seconds = 1_800;
    const header = new DataView(new ArrayBuffer(44));
    const text = (at, value) => {
      for (let index = 0; index < value.length; index += 1)
        header.setUint8(at + index, value.charCodeAt(index));
    };
    text(0, "RIFF");
    header.setUint32(4, 36 + rate * seconds * 2, true);
    text(8, "WAVEfmt ");
    header.setUint32(16, 16, true);
    header.setUint16(20, 1, true);
    header.setUint16(22, 1, true);
    header.setUint32(24, rate, true);
    header.setUint32(28, rate * 2, true);
    header.setUint16(32, 2, true);
    header.setUint16(34, 16, true);
    text(36, "data");
    header.setUint32(40, rate * seconds * 2, true);
    const second = new DataView(new ArrayBuffer(rate * 2));
    for (let index = 0; index < rate / 2; index += 1) {
      const sample = 9000 * Math.sin((2 * Math.PI * frequencyOf(id) * index) / rate);
      second.setInt16(index * 2, sample, true);
    }
    return new Blob([header, ...Array(seconds).fill(second)], { type: "audio/wav" });
  };

  /** How far a playing element is, in seconds. It tells its own time late, by more or less: the least late of two seconds counts. */
  const playhead = (element) => {
    let told = [];
    return () => {
      const now = performance.now() / 1000;
      told = told.filter(({ at }) => at > now - 2);
      told.push({ at: now, ahead: element.currentTime - now });
      return now + Math.max(...told.map(({ ahead }) => ahead));
    };
  };

  const wavTrack = async (id) => {
    const tone = new Audio(URL.createObjectURL(wavOf(id)));
    const stream = tone.mozCaptureStream();
    await tone.play();
    clock = playhead(tone);
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
    const { width, height, fps, picture } = options;
    return named(canvasTrack(id, width, height, fps, picture), deviceId, `Test ${deviceId}`);
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
    media.getDisplayMedia = async ({ audio } = {}) => {
      const { screenId, screenTone, screenFps } = options;
      const tracks = [named(canvasTrack(screenId, 1280, 720, screenFps), "screen", "Test screen")];
      if (audio && screenTone) tracks.push(await toneTrack(screenTone));
      return new MediaStream(tracks);
    };
    media.enumerateDevices = async () =>
      ["camera-1", "camera-2", "microphone-1", "microphone-2"].map((deviceId) => ({
        deviceId,
        groupId: "test",
        kind: deviceId.startsWith("camera") ? "videoinput" : "audioinput",
        label: `Test ${deviceId}`,
        toJSON: () => ({}),
      }));
  }

  const reading = canvasOf(WIDTH, HEIGHT, true);

  const readFrom = (source) => {
    reading.drawImage(source, 0, 0, WIDTH, HEIGHT);
    const { data } = reading.getImageData(0, 0, WIDTH, HEIGHT);
    return read((point) => data[point * 4 + 1]);
  };

  /** What a <video> shows now: {id, counter, flash, width}, or null when the picture is not ours or not readable. */
  const readVideo = (video) => {
    const picture = video.videoWidth ? readFrom(video) : null;
    return picture && { ...picture, width: video.videoWidth };
  };

  /** What a screenshot, given as a data: address, looks like: see `Look`. */
  const look = async (address) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    const context = canvasOf(image.naturalWidth, image.naturalHeight, true);
    context.drawImage(image, 0, 0);
    const { data, width, height } = context.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
    let [sum, squares, edge] = [0, 0, 0];
    for (let point = 0; point < width * height; point += 1) {
      const light = data[point * 4 + 1];
      sum += light;
      squares += light * light;
      if (point % width > 0) edge = Math.max(edge, Math.abs(light - data[point * 4 - 3]));
      if (point >= width) edge = Math.max(edge, Math.abs(light - data[(point - width) * 4 + 1]));
    }
    const mean = sum / (width * height);
    const spread = Math.sqrt(Math.max(0, squares / (width * height) - mean * mean));
    return { light: mean, spread, edge, picture: readFrom(context.canvas) };
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

  const record = async (stream, heard) => {
    for (;;) {
      if (!stream.active) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
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
    /** What the page's connections say of their streams of one kind. */
    async streams(kind) {
      const reports = await Promise.all([...connections].map((connection) => connection.getStats()));
      return reports.flatMap((report) =>
        [...report.values()]
          .filter(({ type }) => type === kind)
          .map((stream) => ({ ...stream, mimeType: report.get(stream.codecId)?.mimeType })),
      );
    },
    /** What the page's connections are told to send of their screens. */
    shares: () =>
      [...connections].flatMap((connection) =>
        connection
          .getSenders()
          .filter(({ track }) => track?.label === "Test screen")
          .map((sender) => ({ contentHint: sender.track.contentHint, ...sender.getParameters() })),
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
    look,
    hear,
    frequencyOf,
  };
})();
