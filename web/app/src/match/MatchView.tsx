import { type Call, type CallSnapshot, type Match, trackOf } from "@parlor/sdk";
import { Ban, Flag, MessageSquare, Settings, SkipForward, Square, X } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { CaptureButtons, Unread } from "../call/Controls.tsx";
import { DevicesDialog } from "../call/Devices.tsx";
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
} from "../call/hooks.ts";
import { Moderated } from "../call/Moderated.tsx";
import type { Capture, LocalMedia } from "../call/media.ts";
import { ConsentDialog, RecordingMark, RecordingNotice } from "../call/Recording.tsx";
import { Sounds } from "../call/Sounds.tsx";
import { RemoteTile, SelfTile } from "../call/Tile.tsx";
import { Chat } from "../chat/Chat.tsx";
import { Logo } from "../place/Brand.tsx";
import { isOn } from "../place/place.ts";
import { useSafety } from "../safety/Safety.tsx";
import { useSession } from "../session.tsx";
import { IconButton, Spinner, useTitle } from "../ui.tsx";
import { useArrival } from "./hooks.ts";
import { Shared } from "./panels.tsx";

interface MatchViewProps {
  match: Match & { roomId: string };
  media: LocalMedia;
  notice: string | null;
  onNotice: (notice: string | null) => void;
  onNext: () => void;
  onStop: () => void;
}

/** Two strangers: their pictures and their chat, or their chat alone. The ways out are always in sight. */
export function MatchView(props: MatchViewProps) {
  const { t } = useTranslation();
  const { match } = props;
  const meeting = useMeeting(match.roomId, match.mode === "video");
  useTitle(t("match.talking", { name: match.partner.nickname }));
  return meeting ? <Talk {...props} meeting={meeting} /> : <Spinner />;
}

function Talk({
  match,
  media,
  notice,
  onNotice,
  onNext,
  onStop,
  meeting,
}: MatchViewProps & { meeting: Meeting }) {
  const { t } = useTranslation();
  const { user } = useSession();
  const { room, call } = meeting;
  const { mode, partner, sharedInterests, roomId } = match;
  const capture = useCapture(media);
  const snapshot = useCall(call);
  const { messages } = useRoom(room);
  const wide = useMedia("(min-width: 64rem)");
  const video = mode === "video";
  const [chatting, setChatting] = useState(!video || wide);
  const [choosing, setChoosing] = useState(false);
  const unread = useUnread(messages.length, chatting);
  usePublishing(call, capture);
  useFading(notice, onNotice);

  return (
    <div className="flex h-dvh flex-col overflow-hidden">
      <Top
        name={partner.nickname}
        interests={sharedInterests}
        mark={<RecordingMark recording={snapshot.recording} />}
      />
      <Connection meeting={meeting} video={video} />
      <p
        role="status"
        className={notice ? "bg-sunken px-3 py-1.5 text-center" : "sr-only"}
        data-testid="notice"
      >
        {notice}
      </p>
      {video ? (
        <>
          <RecordingNotice
            call={call}
            snapshot={snapshot}
            mayRecord={false}
            userId={user?.id ?? ""}
            onLeave={onStop}
          />
          <Moderated sources={snapshot.moderated} />
          <Sounds slots={snapshot.audio} speakerId={capture.speakerId} />
        </>
      ) : null}
      <main id="content" className="relative flex min-h-0 flex-1">
        {video ? <Pair call={call} snapshot={snapshot} capture={capture} partner={partner.nickname} /> : null}
        {chatting ? (
          <ChatPanel beside={video} onClose={() => setChatting(false)}>
            <Chat room={room} />
          </ChatPanel>
        ) : null}
      </main>
      <Bar
        partner={partner}
        roomId={roomId}
        onNext={onNext}
        onStop={onStop}
        extra={
          video ? (
            <>
              <CaptureButtons media={media} capture={capture} />
              <IconButton
                round
                label={t("call.devices")}
                tone="plain"
                onClick={() => setChoosing(true)}
                data-testid="devices"
              >
                <Settings aria-hidden className="size-5" />
              </IconButton>
              <IconButton
                round
                label={unread > 0 ? t("call.chatUnread", { count: unread }) : t("call.chat")}
                tone={chatting ? "accent" : "plain"}
                aria-expanded={chatting}
                onClick={() => setChatting(!chatting)}
                data-testid="chat"
              >
                <MessageSquare aria-hidden className="size-5" />
                <Unread count={unread} loud />
              </IconButton>
            </>
          ) : null
        }
      />
      {choosing ? <DevicesDialog media={media} capture={capture} onClose={() => setChoosing(false)} /> : null}
      {snapshot.phase === "consent" ? (
        <ConsentDialog onAccept={() => void call.acceptRecording()} onDecline={onStop} />
      ) : null}
    </div>
  );
}

function Top({ name, interests, mark }: { name: string; interests: string[]; mark: ReactNode }) {
  const { t } = useTranslation();
  const heading = useArrival<HTMLHeadingElement>();
  return (
    <header className="flex min-h-14 shrink-0 flex-wrap items-center gap-x-3 border-b border-line bg-surface px-3 py-1">
      <Logo className="size-7" />
      <h1 ref={heading} tabIndex={-1} className="min-w-0 truncate text-lg font-semibold outline-none">
        {t("match.talking", { name })}
      </h1>
      <div className="ml-auto">{mark}</div>
      <div className="w-full min-w-0 text-sm text-soft empty:hidden">
        <Shared interests={interests} />
      </div>
    </header>
  );
}

/** What is wrong with the connection at the moment; nothing most of the time. */
function Connection({ meeting: { room, call }, video }: { meeting: Meeting; video: boolean }) {
  const { t } = useTranslation();
  const socket = useSocketState();
  const { phase, reason } = useCall(call);
  const { state, reason: refusal } = useRoom(room);
  const lost = socket !== "open" || phase === "reconnecting";
  const refused = state === "refused" || state === "removed" ? refusal : phase === "failed" ? reason : null;
  const text = refused
    ? t("match.failed", { reason: refused.message })
    : lost
      ? t("call.reconnecting")
      : state !== "joined" || (video && phase !== "connected")
        ? t("call.connecting")
        : "";
  return (
    <div role="status" data-testid="connection" data-phase={phase} data-socket={socket} data-room={state}>
      {text ? <p className="bg-warn-ground px-3 py-1.5 text-center text-warn-ink">{text}</p> : null}
    </div>
  );
}

interface PairProps {
  call: Call;
  snapshot: CallSnapshot;
  capture: Capture;
  partner: string;
}

/** Below this level, in dBov, a microphone only hears the room. */
const SPEAKS_ABOVE = -50;

/** The stranger, as large as there is room, and ourselves in a corner. */
function Pair({ call, snapshot, capture, partner }: PairProps) {
  const { t } = useTranslation();
  const { user } = useSession();
  const own =
    snapshot.participants.find(({ participantId }) => participantId === snapshot.participantId) ?? null;
  const other = snapshot.participants.find(({ userId }) => userId !== user?.id) ?? null;
  const screen = other && trackOf(other, "screen");
  const speaks = (participantId: string | null) =>
    snapshot.speakers.some(
      (speaker) => speaker.participantId === participantId && speaker.level > SPEAKS_ABOVE,
    );
  return (
    <section
      aria-label={t("match.stage", { name: partner })}
      className="relative min-w-0 flex-1 bg-stage p-2 sm:p-3"
    >
      <div className="flex size-full flex-col gap-2">
        {other && screen?.active ? (
          <div className="min-h-0 flex-1">
            <RemoteTile call={call} participant={other} source="screen" speaking={false} guarded />
          </div>
        ) : null}
        <div className="min-h-0 flex-1">
          {other ? (
            <RemoteTile
              call={call}
              participant={other}
              source="camera"
              speaking={speaks(other.participantId)}
              guarded
            />
          ) : (
            <p className="grid size-full place-items-center rounded-2xl bg-tile p-4 text-center text-white">
              {t("match.waitingFor", { name: partner })}
            </p>
          )}
        </div>
      </div>
      <div className="absolute right-4 bottom-4 aspect-video w-28 overflow-hidden rounded-2xl shadow-lg ring-2 ring-black/40 sm:right-6 sm:bottom-6 sm:w-44">
        <SelfTile
          name={user?.nickname ?? ""}
          camera={capture.camera}
          microphoneOn={capture.microphoneOn}
          own={own}
          moderated={snapshot.moderated}
          speaking={capture.microphoneOn && speaks(snapshot.participantId)}
        />
      </div>
    </section>
  );
}

/** Beside the pictures on a wide page, over them on a narrow one; all there is when there are no pictures. */
function ChatPanel({
  beside,
  onClose,
  children,
}: {
  beside: boolean;
  onClose: () => void;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  if (!beside) return <div className="mx-auto flex min-h-0 w-full max-w-2xl flex-col">{children}</div>;
  return (
    <aside
      aria-label={t("chat.title")}
      className="absolute inset-0 z-10 flex min-h-0 flex-col border-line bg-surface lg:static lg:w-88 lg:shrink-0 lg:border-l"
    >
      <div className="flex min-h-12 shrink-0 items-center justify-between border-b border-line pl-4">
        <h2 className="font-semibold">{t("chat.title")}</h2>
        <IconButton label={t("common.close")} onClick={onClose} data-testid="close-panel">
          <X aria-hidden className="size-5" />
        </IconButton>
      </div>
      {children}
    </aside>
  );
}

interface BarProps {
  partner: { userId: string; nickname: string };
  roomId: string;
  extra: ReactNode;
  onNext: () => void;
  onStop: () => void;
}

/** The ways out, and what helps against somebody: always there, each by its name. */
function Bar({ partner, roomId, extra, onNext, onStop }: BarProps) {
  const { t } = useTranslation();
  const { report, block } = useSafety();
  const name = partner.nickname;
  return (
    <footer>
      <div
        role="toolbar"
        aria-label={t("match.controls")}
        className="flex shrink-0 flex-wrap items-center justify-center gap-x-2 gap-y-2 border-t border-line bg-surface px-2 py-2 pb-[max(0.5rem,env(safe-area-inset-bottom))] sm:gap-x-4"
      >
        <div className="flex items-center gap-1 sm:gap-2">
          {extra}
          {isOn("moderation") ? (
            <Captioned
              icon={Flag}
              caption={t("match.report")}
              label={t("match.reportOf", { name })}
              onClick={() => report({ ...partner, roomId })}
              testId="report"
            />
          ) : null}
          <Captioned
            icon={Ban}
            caption={t("match.block")}
            label={t("match.blockOf", { name })}
            onClick={() => block(partner, true)}
            testId="block"
          />
        </div>
        <div className="flex w-full gap-2 sm:w-auto">
          <button
            type="button"
            className="inline-flex min-h-12 flex-1 items-center justify-center gap-2 rounded-xl bg-danger px-5 font-semibold text-white hover:bg-danger-strong"
            onClick={onStop}
            data-testid="stop"
          >
            <Square aria-hidden className="size-5 fill-current" />
            {t("match.stop")}
          </button>
          <button
            type="button"
            className="inline-flex min-h-12 flex-[2] items-center justify-center gap-2 rounded-xl bg-accent px-8 font-semibold text-on-accent hover:bg-accent-strong"
            onClick={onNext}
            data-testid="next"
          >
            {t("match.next")}
            <SkipForward aria-hidden className="size-5" />
          </button>
        </div>
      </div>
    </footer>
  );
}

interface CaptionedProps {
  icon: typeof Flag;
  caption: string;
  label: string;
  onClick: () => void;
  testId: string;
}

/** A button with its word under it: nobody should have to guess this one. */
function Captioned({ icon: Icon, caption, label, onClick, testId }: CaptionedProps) {
  return (
    <button
      type="button"
      aria-label={label}
      className="flex min-h-12 min-w-12 flex-col items-center justify-center rounded-xl px-1 text-xs font-medium hover:bg-sunken"
      onClick={onClick}
      data-testid={testId}
    >
      <Icon aria-hidden className="size-5" />
      {caption}
    </button>
  );
}

/** A note goes away by itself. */
function useFading(notice: string | null, onNotice: (notice: string | null) => void): void {
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => onNotice(null), 6_000);
    return () => clearTimeout(timer);
  }, [notice, onNotice]);
}
