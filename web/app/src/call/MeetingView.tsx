import type { Call, Quality } from "@parlor/sdk";
import { Link2, X } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { AccountMenu } from "../account/AccountMenu.tsx";
import { Chat } from "../chat/Chat.tsx";
import { sentence } from "../errors.ts";
import type { Ending } from "../pages/RoomPage.tsx";
import { Logo } from "../place/Brand.tsx";
import { isOn } from "../place/place.ts";
import { Safety } from "../safety/Safety.tsx";
import { useSession } from "../session.tsx";
import { IconButton, Spinner, useTitle } from "../ui.tsx";
import { Controls, type Panel } from "./Controls.tsx";
import { DevicesDialog } from "./Devices.tsx";
import { HostPanel } from "./HostPanel.tsx";
import {
  type Meeting,
  useCall,
  useCapture,
  useMedia,
  useMeeting,
  usePublishing,
  useRoom,
  useSocketState,
  useUnread,
} from "./hooks.ts";
import { HostToolsProvider, useHostNews, useKnocks, useObedience } from "./hosting.ts";
import { Moderated } from "./Moderated.tsx";
import type { LocalMedia } from "./media.ts";
import { People } from "./People.tsx";
import { ConsentDialog, RecordButton, RecordingMark, RecordingNotice } from "./Recording.tsx";
import { keepsOrder, mayEnd, NONE, rightsOver } from "./rights.ts";
import { Sounds } from "./Sounds.tsx";
import { Stage } from "./Stage.tsx";
import { WaitingRoom } from "./WaitingRoom.tsx";

interface MeetingViewProps {
  roomId: string;
  name: string;
  media: LocalMedia;
  onEnd: (ending: Ending) => void;
}

/** The call itself: the stage, the controls, and chat or people beside it. */
export function MeetingView(props: MeetingViewProps) {
  const meeting = useMeeting(props.roomId);
  useTitle(props.name);
  return meeting ? <Inside {...props} meeting={meeting} /> : <Spinner />;
}

function Inside({ name, media, onEnd, meeting }: MeetingViewProps & { meeting: Meeting }) {
  const { t } = useTranslation();
  const { user } = useSession();
  const { room, call } = meeting;
  const capture = useCapture(media);
  const snapshot = useCall(call);
  const { messages, role, members, state } = useRoom(room);
  const wide = useMedia("(min-width: 64rem)");
  const [chosen, setPanel] = useState<Panel>(wide ? "chat" : null);
  const [choosing, setChoosing] = useState(false);
  const [notice, setNotice] = useNotice(call);
  const unread = useUnread(messages.length, chosen === "chat");
  const site = user?.role ?? "member";
  const isHost = keepsOrder(role, site);
  // A role may go while its panel is open.
  const panel = chosen === "host" && !isHost ? null : chosen;
  const act = (work: Promise<void>) => void work.catch((error) => setNotice(sentence(error)));
  const rights = (userId: string) => {
    const member = members.find((known) => known.userId === userId);
    return member && userId !== user?.id ? rightsOver(member, role, site) : NONE;
  };
  const leave = () => onEnd({ kind: "left" });
  usePublishing(call, capture);
  useEnding(meeting, onEnd);
  useObedience(snapshot, media);
  useHostNews(call, members, user?.id ?? "", setNotice);
  useKnocks(snapshot.waiting, !isHost || panel === "host", setNotice);

  if (state === "waiting") return <WaitingRoom name={name} onLeave={leave} />;
  return (
    <Safety onNotice={setNotice}>
      <HostToolsProvider value={{ call, snapshot, rights, act }}>
        <div className="flex h-dvh flex-col overflow-hidden">
          <TopBar
            name={name}
            notice={notice ?? (capture.screen ? t("call.sharing") : null)}
            mark={<RecordingMark recording={snapshot.recording} />}
            record={
              isHost && isOn("recording") ? <RecordButton snapshot={snapshot} onProblem={setNotice} /> : null
            }
            onNotice={setNotice}
          />
          <Banner meeting={meeting} />
          <RecordingNotice
            call={call}
            snapshot={snapshot}
            mayRecord={isHost}
            userId={user?.id ?? ""}
            onLeave={leave}
          />
          <Moderated sources={snapshot.moderated} />
          <Sounds slots={snapshot.audio} speakerId={capture.speakerId} />
          <main id="content" className="relative flex min-h-0 flex-1">
            <Stage
              call={call}
              snapshot={snapshot}
              capture={capture}
              nickname={user?.nickname ?? ""}
              roomId={room.id}
              publishes={room.mayPublish}
            />
            {panel ? (
              <SidePanel title={t(`${panel}.title`)} onClose={() => setPanel(null)}>
                {panel === "chat" ? (
                  <Chat room={room} />
                ) : panel === "host" ? (
                  <HostPanel
                    roomId={room.id}
                    call={call}
                    snapshot={snapshot}
                    mayEnd={mayEnd(role, site)}
                    act={act}
                  />
                ) : (
                  <People room={room} call={call} snapshot={snapshot} onProblem={setNotice} />
                )}
              </SidePanel>
            ) : null}
          </main>
          <footer>
            <Controls
              media={media}
              capture={capture}
              panel={panel}
              unread={unread}
              people={snapshot.participants.length + snapshot.viewers}
              held={snapshot.held}
              publishes={room.mayPublish}
              waiting={isHost ? snapshot.waiting.length : null}
              onPanel={setPanel}
              onDevices={() => setChoosing(true)}
              onLeave={leave}
            />
          </footer>
          {choosing ? (
            <DevicesDialog media={media} capture={capture} onClose={() => setChoosing(false)} />
          ) : null}
          {snapshot.phase === "consent" ? (
            <ConsentDialog onAccept={() => void call.acceptRecording()} onDecline={leave} />
          ) : null}
        </div>
      </HostToolsProvider>
    </Safety>
  );
}

interface TopBarProps {
  name: string;
  notice: string | null;
  mark: ReactNode;
  record: ReactNode;
  onNotice: (notice: string) => void;
}

function TopBar({ name, notice, mark, record, onNotice }: TopBarProps) {
  const { t } = useTranslation();
  const copyLink = async () => {
    await navigator.clipboard?.writeText(location.href).catch(() => undefined);
    onNotice(t("call.copied"));
  };
  return (
    <header className="flex min-h-14 shrink-0 flex-wrap items-center gap-x-2 border-b border-line bg-surface px-3">
      <Logo className="size-7" />
      <h1 className="min-w-0 flex-1 truncate text-lg font-semibold">{name}</h1>
      <p
        role="status"
        aria-live="polite"
        className="order-last w-full pb-1 text-sm text-soft empty:pb-0 sm:order-none sm:pb-0 sm:w-auto sm:min-w-0 sm:truncate"
        data-testid="notice"
      >
        {notice}
      </p>
      {mark}
      {record}
      <IconButton label={t("call.copyLink")} onClick={() => void copyLink()} data-testid="copy-link">
        <Link2 aria-hidden className="size-5" />
      </IconButton>
      <AccountMenu staying />
    </header>
  );
}

/** Tells the page when the call is over, though nobody left it. */
function useEnding({ room, call }: Meeting, onEnd: (ending: Ending) => void): void {
  const { t } = useTranslation();
  const { ended } = useSession();
  const { state, reason } = useRoom(room);
  const { phase, reason: refusal, over } = useCall(call);
  useEffect(() => {
    if (over) onEnd({ kind: "over", reason: over.reason });
    else if (state === "removed") onEnd({ kind: "removed", reason: reason?.message ?? "" });
    else if (state === "refused") onEnd({ kind: "refused", reason: reason?.message ?? "" });
    else if (phase === "failed") {
      onEnd({ kind: "refused", reason: t("call.failed", { reason: refusal?.message ?? "" }) });
    } else if (ended !== null) onEnd({ kind: "refused", reason: t("call.sessionEnded") });
  }, [state, reason, phase, refusal, over, ended, onEnd, t]);
}

/** What is wrong with the connection at the moment; nothing most of the time. */
function Banner({ meeting: { room, call } }: { meeting: Meeting }) {
  const { t } = useTranslation();
  const socket = useSocketState();
  const { phase, quality } = useCall(call);
  const { state } = useRoom(room);
  const line = useOwnLine(phase === "connected" ? quality : null);
  const lost = socket !== "open" || phase === "reconnecting";
  const text =
    lost && phase !== "idle"
      ? t("call.reconnecting")
      : phase === "idle" || phase === "connecting"
        ? t("call.connecting")
        : line;
  return (
    <div role="status" data-testid="connection" data-phase={phase} data-socket={socket} data-room={state}>
      {text ? <p className="bg-warn-ground px-3 py-1.5 text-center text-warn-ink">{text}</p> : null}
    </div>
  );
}

/** What is wrong with our own line, if it is poor or worse. */
function useOwnLine(quality: Quality | null): string {
  const { t } = useTranslation();
  if (!quality?.reason || !quality.direction) return "";
  if (quality.level !== "poor" && quality.level !== "lost") return "";
  const reason = t(`quality.own.${quality.reason}_${quality.direction}`);
  return t(`quality.banner_${quality.level}`, { reason });
}

/** Beside the stage on a wide page, over it on a narrow one. */
function SidePanel({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  const panel = useRef<HTMLElement>(null);
  return (
    <aside
      ref={panel}
      aria-label={title}
      onKeyDown={(event) => event.key === "Escape" && !event.defaultPrevented && onClose()}
      className="absolute inset-0 z-10 flex min-h-0 flex-col border-line bg-surface lg:static lg:w-88 lg:shrink-0 lg:border-l"
    >
      <div className="flex min-h-12 shrink-0 items-center justify-between border-b border-line pl-4">
        <h2 className="font-semibold">{title}</h2>
        <IconButton label={t("common.close")} onClick={onClose} data-testid="close-panel">
          <X aria-hidden className="size-5" />
        </IconButton>
      </div>
      {children}
    </aside>
  );
}

/** A short note that goes away by itself; the host's mute is one. */
function useNotice(call: Call): [string | null, (text: string) => void] {
  const { t } = useTranslation();
  const [notice, setNotice] = useState<string | null>(null);
  useEffect(
    () =>
      call.on("stopped", ({ source, reason }) => {
        // What is said of the screen, or of the voice, says it.
        if (source === "screenAudio" && reason !== "moderation") return;
        const words = t(`call.${source}`);
        const key = {
          moderation: "moderatedShort",
          muted_by_host: "mutedByHost",
          disabled_by_host: "disabledByHost",
        } as const;
        setNotice(t(`call.${key[reason]}`, { source: words }));
      }),
    [call, t],
  );
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => setNotice(null), 6_000);
    return () => clearTimeout(timer);
  }, [notice]);
  return [notice, setNotice];
}
