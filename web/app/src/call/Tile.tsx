import { type Call, type Participant, type Quality, qualityOf, type TrackSource, trackOf } from "@parlor/sdk";
import { CircleSlash, EllipsisVertical, EyeOff, MicOff } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { SafetyItems } from "../safety/SafetyItems.tsx";
import { IconButton, MENU } from "../ui.tsx";
import { isBlurred } from "./blur.ts";
import { HostItems } from "./HostItems.tsx";
import { Signal } from "./Signal.tsx";

interface FrameProps {
  name: string;
  label: string;
  micOff: boolean;
  speaking: boolean;
  /** There is a picture; else the name's first letters are shown. */
  pictured: boolean;
  note?: string | undefined;
  /** Why there is no picture, or none to be seen clearly. */
  veil?: { icon: typeof EyeOff; text: string } | null;
  menu?: ReactNode;
  /** What their line is like; `null` where it is not shown. */
  quality?: Quality | null;
  /** Whose line that is; `null`: one's own. */
  line?: string | null;
  children: ReactNode;
  data: Record<string, string | undefined>;
}

function Frame({
  name,
  label,
  micOff,
  speaking,
  pictured,
  note,
  veil,
  menu,
  quality = null,
  line = null,
  children,
  data,
}: FrameProps) {
  const { t } = useTranslation();
  const bad = quality?.level === "poor" || quality?.level === "lost" ? quality.level : null;
  const said = note ?? (bad ? t(`quality.${bad}Short`) : null);
  return (
    <figure
      aria-label={label}
      data-testid="tile"
      data-speaking={speaking}
      className="group @container relative m-0 size-full overflow-hidden rounded-2xl bg-tile"
      {...data}
    >
      {children}
      {veil ? <Veil {...veil} over={pictured} /> : null}
      {pictured || veil ? null : (
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
        {said ? (
          <span className={`shrink-0 text-amber-200 ${note ? "" : "@max-[16rem]:hidden"}`}>{said}</span>
        ) : null}
      </figcaption>
      <Signal quality={quality} name={line} />
      {speaking ? (
        <div
          aria-hidden
          className="pointer-events-none absolute inset-0 rounded-2xl ring-4 ring-live ring-inset"
        />
      ) : null}
      {menu}
    </figure>
  );
}

/** A word over a picture that is not shown as it is. */
function Veil({ icon: Icon, text, over }: { icon: typeof EyeOff; text: string; over: boolean }) {
  return (
    <div className={`absolute inset-0 grid place-items-center p-2 ${over ? "bg-black/30" : ""}`}>
      <p className="flex max-w-full flex-col items-center gap-1 rounded-xl bg-black/70 px-3 py-2 text-center text-sm text-white @max-[13rem]:px-2 @max-[13rem]:py-1 @max-[13rem]:text-xs">
        <Icon aria-hidden className="size-6 shrink-0 @max-[13rem]:size-4" />
        {text}
      </p>
    </div>
  );
}

/** What one may do about somebody, at the corner of their picture. */
function TileMenu({ participant, roomId }: { participant: Participant; roomId: string }) {
  const { t } = useTranslation();
  const { userId, nickname } = participant;
  // In the page's main part: inside the tile it would be cut off, at the end of the page it would be outside every landmark.
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>
        <IconButton
          round
          label={t("safety.actions", { name: nickname })}
          className="!absolute top-1 right-1 bg-black/60 text-white opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 hover:bg-black/80! focus-visible:opacity-100 data-[state=open]:opacity-100 pointer-coarse:opacity-100"
          data-testid="tile-actions"
        >
          <EllipsisVertical aria-hidden className="size-5" />
        </IconButton>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal container={document.getElementById("content")}>
        <DropdownMenu.Content align="end" sideOffset={4} collisionPadding={8} className={MENU}>
          <HostItems participant={participant} />
          <SafetyItems target={{ userId, nickname, roomId }} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

interface RemoteTileProps {
  call: Call;
  participant: Participant;
  source: "camera" | "screen";
  speaking: boolean;
  /** Among strangers: blurred until the server says that the picture may be seen. */
  guarded?: boolean;
  /** The room, when the tile has a menu. */
  roomId?: string;
  /** Shown large to everybody: its picture comes before others. */
  featured?: boolean;
}

/** Somebody else: their camera, or their screen. */
export function RemoteTile({
  call,
  participant,
  source,
  speaking,
  guarded = false,
  roomId,
  featured = false,
}: RemoteTileProps) {
  const { t } = useTranslation();
  const video = useRef<HTMLVideoElement>(null);
  const [shown, setShown] = useState(false);
  const [paused, setPaused] = useState(false);
  const track = trackOf(participant, source);
  const microphone = trackOf(participant, "microphone");
  const live = track?.active && !track.muted && !track.mutedByHost ? track.trackId : null;
  const name = participant.nickname;
  const micOff = source === "camera" && (!microphone?.active || microphone.muted || microphone.mutedByHost);
  const stopped = track?.mutedByHost ?? false;
  const blurred = isBlurred(track, guarded);
  const pictured = Boolean(live) && shown;

  const first = featured || source === "screen";
  useEffect(() => {
    if (!live || !video.current) return;
    return call.attach(live, video.current, {
      priority: first ? 0 : 1,
      onShown: setShown,
      onPaused: setPaused,
    });
  }, [call, live, first]);

  const label =
    source === "screen"
      ? t("call.tileScreen", { name })
      : t(micOff ? "call.tileMuted" : "call.tile", { name });
  const veil = stopped
    ? { icon: CircleSlash, text: t("call.pictureStopped") }
    : blurred && pictured
      ? { icon: EyeOff, text: t("call.blurred") }
      : null;
  return (
    <Frame
      name={source === "screen" ? label : name}
      label={label}
      micOff={micOff}
      speaking={speaking}
      pictured={pictured}
      note={participant.state === "lost" ? t("call.lost") : paused && live ? t("call.paused") : undefined}
      veil={veil}
      menu={roomId && source === "camera" ? <TileMenu participant={participant} roomId={roomId} /> : null}
      quality={source === "camera" ? qualityOf(participant) : null}
      line={name}
      data={{
        "data-participant": participant.participantId,
        "data-nickname": name,
        "data-source": source,
        "data-shown": String(pictured),
        "data-paused": paused && live ? "true" : undefined,
        "data-cleared": String(!blurred),
        "data-stopped": stopped ? "true" : undefined,
      }}
    >
      <video
        ref={video}
        muted
        playsInline
        autoPlay
        aria-hidden
        tabIndex={-1}
        className={`absolute inset-0 size-full ${source === "screen" ? "object-contain" : "object-cover"} ${pictured ? "" : "opacity-0"} ${blurred ? "veiled" : ""}`}
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
  moderated,
  speaking,
  spotlit = false,
}: {
  name: string;
  camera: MediaStreamTrack | null;
  microphoneOn: boolean;
  /** Ourselves as the others see us. */
  own: Participant | null;
  /** What the site's moderation stopped. */
  moderated: readonly TrackSource[];
  speaking: boolean;
  /** A host shows us to everybody. */
  spotlit?: boolean;
}) {
  const { t } = useTranslation();
  const shownName = `${name} (${t("common.you")})`;
  const stopped = (source: "microphone" | "camera") =>
    moderated.includes(source) ? "moderation" : own && trackOf(own, source)?.mutedByHost ? "host" : null;
  const audible = microphoneOn && !stopped("microphone");
  const stoppedBy = stopped("camera");
  return (
    <Frame
      name={shownName}
      label={t(audible ? "call.tile" : "call.tileMuted", { name: shownName })}
      micOff={!audible}
      speaking={speaking}
      pictured={camera !== null && stoppedBy !== "moderation"}
      note={stoppedBy === "host" ? t("call.stoppedByHost") : spotlit ? t("host.inSpotlight") : undefined}
      veil={stoppedBy === "moderation" ? { icon: CircleSlash, text: t("call.stoppedByModeration") } : null}
      quality={qualityOf(own)}
      data={{
        "data-self": "true",
        "data-nickname": name,
        "data-source": "camera",
        "data-stopped": stoppedBy ?? undefined,
      }}
    >
      <Preview track={stoppedBy === "moderation" ? null : camera} />
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
