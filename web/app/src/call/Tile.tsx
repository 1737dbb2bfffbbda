import { type Call, type Participant, trackOf } from "@parlor/sdk";
import { MicOff } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";

interface FrameProps {
  name: string;
  label: string;
  micOff: boolean;
  speaking: boolean;
  /** There is a picture; else the name's first letters are shown. */
  pictured: boolean;
  note?: string | undefined;
  children: ReactNode;
  data: Record<string, string | undefined>;
}

function Frame({ name, label, micOff, speaking, pictured, note, children, data }: FrameProps) {
  return (
    <figure
      aria-label={label}
      data-testid="tile"
      data-speaking={speaking}
      className="@container relative m-0 size-full overflow-hidden rounded-2xl bg-tile"
      {...data}
    >
      {children}
      {pictured ? null : (
        <div aria-hidden className="absolute inset-0 grid place-items-center">
          <span className="grid aspect-square w-1/4 max-w-28 min-w-10 place-items-center rounded-full bg-white/15 text-2xl font-semibold text-white uppercase @max-[13rem]:mb-3 @max-[13rem]:text-base">
            {name.slice(0, 2)}
          </span>
        </div>
      )}
      <figcaption
        aria-hidden
        className="absolute bottom-2 left-2 flex max-w-[calc(100%-1rem)] items-center gap-1.5 rounded-lg bg-black/70 px-2 py-1 text-sm text-white @max-[13rem]:bottom-1 @max-[13rem]:left-1 @max-[13rem]:px-1.5 @max-[13rem]:py-0 @max-[13rem]:text-xs"
      >
        {micOff ? <MicOff className="size-4 shrink-0 text-red-300" /> : null}
        <span className="truncate">{name}</span>
        {note ? <span className="shrink-0 text-amber-200">{note}</span> : null}
      </figcaption>
      {speaking ? (
        <div
          aria-hidden
          className="pointer-events-none absolute inset-0 rounded-2xl ring-4 ring-live ring-inset"
        />
      ) : null}
    </figure>
  );
}

/** Somebody else: their camera, or their screen. */
export function RemoteTile({
  call,
  participant,
  source,
  speaking,
}: {
  call: Call;
  participant: Participant;
  source: "camera" | "screen";
  speaking: boolean;
}) {
  const { t } = useTranslation();
  const video = useRef<HTMLVideoElement>(null);
  const [shown, setShown] = useState(false);
  const track = trackOf(participant, source);
  const microphone = trackOf(participant, "microphone");
  const live = track?.active && !track.muted && !track.mutedByHost ? track.trackId : null;
  const name = participant.nickname;
  const micOff = source === "camera" && (!microphone?.active || microphone.muted || microphone.mutedByHost);

  useEffect(() => {
    if (!live || !video.current) return;
    return call.attach(live, video.current, { priority: source === "screen" ? 0 : 1, onShown: setShown });
  }, [call, live, source]);

  const label =
    source === "screen"
      ? t("call.tileScreen", { name })
      : t(micOff ? "call.tileMuted" : "call.tile", { name });
  return (
    <Frame
      name={source === "screen" ? label : name}
      label={label}
      micOff={micOff}
      speaking={speaking}
      pictured={Boolean(live) && shown}
      note={participant.state === "lost" ? t("call.lost") : undefined}
      data={{
        "data-participant": participant.participantId,
        "data-nickname": name,
        "data-source": source,
        "data-shown": String(Boolean(live) && shown),
      }}
    >
      <video
        ref={video}
        muted
        playsInline
        autoPlay
        aria-hidden
        tabIndex={-1}
        className={`absolute inset-0 size-full ${source === "screen" ? "object-contain" : "object-cover"} ${live && shown ? "" : "opacity-0"}`}
      />
    </Frame>
  );
}

/** Ourselves, straight from the camera. */
export function SelfTile({
  name,
  camera,
  microphoneOn,
  own,
  speaking,
}: {
  name: string;
  camera: MediaStreamTrack | null;
  microphoneOn: boolean;
  /** Ourselves as the others see us. */
  own: Participant | null;
  speaking: boolean;
}) {
  const { t } = useTranslation();
  const shownName = `${name} (${t("common.you")})`;
  const stopped = (source: "microphone" | "camera") =>
    own ? (trackOf(own, source)?.mutedByHost ?? false) : false;
  const audible = microphoneOn && !stopped("microphone");
  return (
    <Frame
      name={shownName}
      label={t(audible ? "call.tile" : "call.tileMuted", { name: shownName })}
      micOff={!audible}
      speaking={speaking}
      pictured={camera !== null}
      note={stopped("camera") ? t("call.stoppedByHost") : undefined}
      data={{ "data-self": "true", "data-nickname": name, "data-source": "camera" }}
    >
      <Preview track={camera} />
    </Frame>
  );
}

export function Preview({ track, mirrored = true }: { track: MediaStreamTrack | null; mirrored?: boolean }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    element.srcObject = track ? new MediaStream([track]) : null;
    if (track) void element.play().catch(() => undefined);
  }, [track]);
  return (
    <video
      ref={video}
      muted
      playsInline
      autoPlay
      aria-hidden
      tabIndex={-1}
      className={`absolute inset-0 size-full object-cover ${mirrored ? "mirrored" : ""} ${track ? "" : "hidden"}`}
    />
  );
}
