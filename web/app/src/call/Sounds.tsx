import type { AudioSlot } from "@parlor/sdk";
import { Volume2 } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "../ui.tsx";

/** Plays every audio slot. A browser that holds sound back until a click gets its click. */
export function Sounds({ slots, speakerId }: { slots: AudioSlot[]; speakerId: string | null }) {
  const { t } = useTranslation();
  const [blocked, setBlocked] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const unblock = () => {
    setBlocked(false);
    for (const element of box.current?.querySelectorAll("audio") ?? [])
      void element.play().catch(() => setBlocked(true));
  };
  return (
    <div ref={box}>
      {slots.map((slot) => (
        <Sound key={slot.stream.id} slot={slot} speakerId={speakerId} onBlocked={() => setBlocked(true)} />
      ))}
      {blocked ? (
        <div
          role="alert"
          className="flex flex-wrap items-center justify-center gap-3 bg-warn-ground px-3 py-2 text-warn-ink"
        >
          {t("call.soundBlocked")}
          <Button tone="plain" onClick={unblock} data-testid="play-sound">
            <Volume2 aria-hidden className="size-5" />
            {t("call.playSound")}
          </Button>
        </div>
      ) : null}
    </div>
  );
}

function Sound({
  slot,
  speakerId,
  onBlocked,
}: {
  slot: AudioSlot;
  speakerId: string | null;
  onBlocked: () => void;
}) {
  const audio = useRef<HTMLAudioElement>(null);
  const blocked = useRef(onBlocked);
  blocked.current = onBlocked;
  useEffect(() => {
    const element = audio.current;
    if (!element) return;
    element.srcObject = slot.stream;
    element.play().catch((error: DOMException) => {
      if (error.name === "NotAllowedError") blocked.current();
    });
  }, [slot.stream]);
  useEffect(() => {
    if (speakerId !== null) void audio.current?.setSinkId?.(speakerId).catch(() => undefined);
  }, [speakerId]);
  return (
    // biome-ignore lint/a11y/useMediaCaption: this is a person speaking now; there is no text of it.
    <audio
      ref={audio}
      autoPlay
      data-testid="sound"
      data-mid={slot.mid}
      data-participant={slot.participantId ?? ""}
    />
  );
}
