/** A ring of two notes every 2 s, for whoever is called; one soft note every 4 s for whoever calls. */
export type Tone = "incoming" | "outgoing";

const NOTES: Record<Tone, { hz: number[]; everyMs: number; gain: number }> = {
  incoming: { hz: [659, 784], everyMs: 2_000, gain: 0.2 },
  outgoing: { hz: [440], everyMs: 4_000, gain: 0.06 },
};
const NOTE_S = 0.35;

/** Several tabs of one person show a call; the one that holds this Web Lock sounds. */
const LOCK = "parlor-tone";

/** Rings until the returned function is called. A browser that holds sound back keeps it silent: the dialog is there all the same. */
export function ring(tone: Tone): () => void {
  const over = new AbortController();
  const { signal } = over;
  const sounding = () =>
    new Promise<void>((resolve) => {
      const hush = sound(tone);
      signal.addEventListener("abort", () => {
        hush();
        resolve();
      });
    });
  // Over before it was this tab's turn: there is nothing to say.
  if (navigator.locks) void navigator.locks.request(LOCK, { signal }, sounding).catch(() => undefined);
  else void sounding();
  return () => over.abort();
}

function sound(tone: Tone): () => void {
  const { hz, everyMs, gain } = NOTES[tone];
  let context: AudioContext;
  try {
    context = new AudioContext();
  } catch {
    return () => undefined;
  }
  const play = () => {
    for (const [index, frequency] of hz.entries()) {
      const start = context.currentTime + index * NOTE_S;
      const note = context.createOscillator();
      const volume = context.createGain();
      note.frequency.value = frequency;
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(gain, start + 0.02);
      volume.gain.linearRampToValueAtTime(0, start + NOTE_S);
      note.connect(volume).connect(context.destination);
      note.start(start);
      note.stop(start + NOTE_S);
    }
  };
  play();
  const timer = setInterval(play, everyMs);
  return () => {
    clearInterval(timer);
    void context.close().catch(() => undefined);
  };
}
