import type { Held, TrackSource } from "@parlor/sdk";
import {
  MessageSquare,
  Mic,
  MicOff,
  MonitorUp,
  MonitorX,
  PhoneOff,
  Settings,
  ShieldCheck,
  Users,
  Video,
  VideoOff,
} from "lucide-react";
import { useTranslation } from "react-i18next";
import { isOn } from "../place/place.ts";
import { IconButton } from "../ui.tsx";
import { type Capture, canShare, type LocalMedia } from "./media.ts";
import { ShareBar } from "./ShareBar.tsx";

export type Panel = "chat" | "people" | "host" | null;

/** A source that a host holds, and that we cannot open ourselves. */
function isShut(held: Held, source: TrackSource): boolean {
  const stopped = held[source];
  return stopped !== undefined && stopped.reason !== "moderation" && !stopped.mayUnmute;
}

export function CaptureButtons({
  media,
  capture,
  held = {},
}: {
  media: LocalMedia;
  capture: Capture;
  held?: Held;
}) {
  const { t } = useTranslation();
  const silenced = isShut(held, "microphone");
  const unseen = isShut(held, "camera");
  const { microphoneOn, camera } = capture;
  return (
    <>
      {isOn("voice") ? (
        <IconButton
          round
          label={t(
            silenced
              ? "host.held.microphone"
              : microphoneOn
                ? "call.muteMicrophone"
                : "call.unmuteMicrophone",
          )}
          disabled={silenced}
          tone={microphoneOn ? "plain" : "danger"}
          onClick={() => void media.toggleMicrophone()}
          data-testid="microphone"
        >
          {microphoneOn ? <Mic aria-hidden className="size-5" /> : <MicOff aria-hidden className="size-5" />}
        </IconButton>
      ) : null}
      {isOn("video") ? (
        <IconButton
          round
          label={t(unseen ? "host.held.camera" : camera ? "call.stopCamera" : "call.startCamera")}
          disabled={unseen}
          tone={camera ? "plain" : "danger"}
          onClick={() => void media.toggleCamera()}
          data-testid="camera"
        >
          {camera ? <Video aria-hidden className="size-5" /> : <VideoOff aria-hidden className="size-5" />}
        </IconButton>
      ) : null}
    </>
  );
}

interface ControlsProps {
  media: LocalMedia;
  capture: Capture;
  panel: Panel;
  unread: number;
  people: number;
  held: Held;
  /** Whether we may be seen and heard: not as one of an audience. */
  publishes: boolean;
  /** How many wait to be let in; null for those who are no hosts. */
  waiting: number | null;
  onPanel: (panel: Panel) => void;
  onDevices: () => void;
  onLeave: () => void;
}

export function Controls({
  media,
  capture,
  panel,
  unread,
  people,
  held,
  publishes,
  waiting,
  onPanel,
  onDevices,
  onLeave,
}: ControlsProps) {
  const { t } = useTranslation();
  const sharing = capture.screen !== null;
  const unshared = isShut(held, "screen");
  return (
    <>
      <ShareBar media={media} capture={capture} />
      <div
        role="toolbar"
        aria-label={t("call.controls")}
        className="flex shrink-0 items-center justify-center gap-1 max-[26rem]:gap-0 border-t border-line bg-surface px-1 py-2 pb-[max(0.5rem,env(safe-area-inset-bottom))] sm:gap-2"
      >
        {publishes ? <CaptureButtons media={media} capture={capture} held={held} /> : null}
        {canShare && publishes && isOn("share") ? (
          <IconButton
            round
            label={t(unshared ? "host.held.screen" : sharing ? "call.stopShare" : "call.share")}
            disabled={unshared}
            tone={sharing ? "accent" : "plain"}
            aria-pressed={sharing}
            onClick={() => (sharing ? media.stopSharing() : void media.share())}
            data-testid="share"
          >
            {sharing ? (
              <MonitorX aria-hidden className="size-5" />
            ) : (
              <MonitorUp aria-hidden className="size-5" />
            )}
          </IconButton>
        ) : null}
        <IconButton round label={t("call.devices")} tone="plain" onClick={onDevices} data-testid="devices">
          <Settings aria-hidden className="size-5" />
        </IconButton>
        {waiting === null ? null : (
          <IconButton
            round
            label={waiting > 0 ? t("host.panelWaiting", { count: waiting }) : t("host.title")}
            tone={panel === "host" ? "accent" : "plain"}
            aria-expanded={panel === "host"}
            onClick={() => onPanel(panel === "host" ? null : "host")}
            data-testid="host"
          >
            <ShieldCheck aria-hidden className="size-5" />
            <Unread count={waiting} loud />
          </IconButton>
        )}
        <IconButton
          round
          label={t("call.people")}
          tone={panel === "people" ? "accent" : "plain"}
          aria-expanded={panel === "people"}
          onClick={() => onPanel(panel === "people" ? null : "people")}
          data-testid="people"
        >
          <Users aria-hidden className="size-5" />
          <Unread count={people} />
        </IconButton>
        <IconButton
          round
          label={unread > 0 ? t("call.chatUnread", { count: unread }) : t("call.chat")}
          tone={panel === "chat" ? "accent" : "plain"}
          aria-expanded={panel === "chat"}
          onClick={() => onPanel(panel === "chat" ? null : "chat")}
          data-testid="chat"
        >
          <MessageSquare aria-hidden className="size-5" />
          <Unread count={unread} loud />
        </IconButton>
        <IconButton
          round
          label={t("call.leave")}
          tone="danger"
          onClick={onLeave}
          className="sm:ml-4"
          data-testid="leave"
        >
          <PhoneOff aria-hidden className="size-5" />
        </IconButton>
      </div>
    </>
  );
}

/** How many there are, at a button's corner. */
export function Unread({ count, loud = false }: { count: number; loud?: boolean }) {
  if (count === 0) return null;
  const tone = loud ? "bg-danger text-white" : "bg-ink text-ground";
  return (
    <span
      aria-hidden
      className={`absolute -top-1 -right-1 grid h-5 min-w-5 place-items-center rounded-full px-1 text-xs font-bold ${tone}`}
    >
      {count > 99 ? "99+" : count}
    </span>
  );
}
