import { type CallType, may, type Room, type SeenRoom, type Standing } from "@parlor/sdk";
import { ArrowLeft, PanelRightClose, PanelRightOpen, Phone, Video, X } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";
import { useMedia, useRoom } from "../call/hooks.ts";
import { Chat } from "../chat/Chat.tsx";
import { Disc } from "../hub/fields.tsx";
import { Hub, WIDE } from "../hub/Hub.tsx";
import { titleOf, useDirect, useJoined, useMine } from "../hub/hooks.ts";
import { KindIcon, rings } from "../hub/kinds.tsx";
import { isOn } from "../place/place.ts";
import { RingDialog } from "../ringing/RingDialog.tsx";
import { useStartCall } from "../ringing/start.ts";
import { Safety } from "../safety/Safety.tsx";
import { useSession } from "../session.tsx";
import { Alert, Button, IconButton, Spinner } from "../ui.tsx";
import { Drawer } from "./Drawer.tsx";

/** A room whose page is its text: a conversation, a group, a forum. */
export function RoomView({ room: seen }: { room: SeenRoom }) {
  const { user } = useSession();
  const direct = useDirect(seen.id);
  const room = useJoined(seen.id);
  const name = direct ? titleOf(direct, user?.id) : seen.name;
  return (
    <Hub title={name} full>
      {room ? <Inside room={room} seen={seen} name={name} /> : <Spinner />}
    </Hub>
  );
}

function Inside({ room, seen, name }: { room: Room; seen: SeenRoom; name: string }) {
  const { t } = useTranslation();
  const { user } = useSession();
  const { state, info, role, reason, members } = useRoom(room);
  const mine = useMine(seen.id);
  const [drawer, setDrawer] = useState(false);
  const [notice, setNotice] = useNotice();
  const [ringing, setRinging] = useState<CallType | null>(null);
  const call = useStartCall(setNotice);
  const current = info ?? seen;
  const who: Standing = { room: mine?.role ?? role, site: user?.role ?? "member" };
  const direct = current.kind === "dm" || current.kind === "groupDm";
  const mayCall =
    rings(current.kind) && !current.archivedAt && may(who, "JoinCall", current.settings.permits);
  const ring = (type: CallType) => (direct ? call(current.id, type) : setRinging(type));
  const hint = direct ? null : t("rooms.here", { count: members.length });
  const message = useSearchParams()[0].get("message");
  const wide = useMedia(WIDE);
  const beside = useMedia("(min-width: 64rem)");

  if (state === "removed" || state === "refused")
    return <Out name={name} removed={state === "removed"} reason={reason?.message ?? ""} />;
  const heading = <Heading room={current} name={name} hint={hint} />;
  const calls = mayCall ? <CallButtons onRing={ring} /> : null;
  const about = (
    <IconButton
      label={t(drawer ? "rooms.hideAbout" : "rooms.about")}
      aria-expanded={drawer}
      onClick={() => setDrawer(!drawer)}
      data-testid="about"
    >
      {drawer ? (
        <PanelRightClose aria-hidden className="size-5" />
      ) : (
        <PanelRightOpen aria-hidden className="size-5" />
      )}
    </IconButton>
  );
  return (
    <Safety onNotice={setNotice}>
      <div className="relative flex min-h-0 flex-1">
        <div className="relative flex min-h-0 min-w-0 flex-1 flex-col" inert={drawer && !beside}>
          {wide ? null : (
            <header className="flex min-h-14 shrink-0 items-center gap-1 bg-surface px-1">
              <Link
                to={direct ? "/messages" : "/"}
                aria-label={t("inbox.back")}
                className="grid size-11 shrink-0 place-items-center rounded-xl hover:bg-sunken"
                data-testid="back"
              >
                <ArrowLeft aria-hidden className="size-5" />
              </Link>
              {heading}
              {about}
            </header>
          )}
          {current.archivedAt ? (
            <p role="status" className="bg-warn-ground px-4 py-2 text-warn-ink" data-testid="archived">
              {t("rooms.isArchived")}
            </p>
          ) : null}
          <Chat
            room={room}
            wide
            at={message}
            title={wide ? heading : null}
            tools={
              wide ? (
                <>
                  {calls}
                  {about}
                </>
              ) : (
                calls
              )
            }
          />
        </div>
        <p
          role="status"
          className="pointer-events-none absolute inset-x-4 top-16 z-20 mx-auto w-fit rounded-xl bg-ink px-4 py-2 text-center text-ground shadow-lg empty:hidden"
          data-testid="notice"
        >
          {notice}
        </p>
        {drawer ? (
          <Aside title={t("rooms.about")} onClose={() => setDrawer(false)}>
            <Drawer room={current} who={who} onNotice={setNotice} />
          </Aside>
        ) : null}
      </div>
      {ringing ? <RingDialog roomId={current.id} type={ringing} onClose={() => setRinging(null)} /> : null}
    </Safety>
  );
}

function CallButtons({ onRing }: { onRing: (type: CallType) => void }) {
  const { t } = useTranslation();
  return (
    <>
      {isOn("voice") ? (
        <IconButton label={t("ringing.voice")} onClick={() => onRing("voice")} data-testid="call-voice">
          <Phone aria-hidden className="size-5" />
        </IconButton>
      ) : null}
      {isOn("video") ? (
        <IconButton label={t("ringing.video")} onClick={() => onRing("video")} data-testid="call-video">
          <Video aria-hidden className="size-5" />
        </IconButton>
      ) : null}
    </>
  );
}

interface HeadingProps {
  room: Pick<SeenRoom, "kind">;
  name: string;
  hint: string | null;
}

function Heading({ room, name, hint }: HeadingProps) {
  return (
    <div className="flex min-h-14 min-w-0 flex-1 items-center gap-3">
      {room.kind === "dm" ? <Disc name={name} /> : <KindIcon kind={room.kind} className="size-5 text-soft" />}
      <div className="min-w-0">
        <h1 className="truncate text-lg leading-tight font-semibold" data-testid="room-title">
          {name}
        </h1>
        {hint ? <p className="truncate text-sm text-soft">{hint}</p> : null}
      </div>
    </div>
  );
}

/** Beside the text on a wide page, over it on a narrow one. */
function Aside({ title, onClose, children }: { title: string; onClose: () => void; children: ReactNode }) {
  const { t } = useTranslation();
  const panel = useRef<HTMLElement>(null);
  // It lies over what was looked at: whoever opened it by keys is in it, and back where they were when it closes.
  useEffect(() => {
    const before = document.activeElement;
    panel.current?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <aside
      ref={panel}
      tabIndex={-1}
      aria-label={title}
      onKeyDown={(event) => event.key === "Escape" && !event.defaultPrevented && onClose()}
      className="absolute inset-0 z-10 flex min-h-0 flex-col border-line bg-surface outline-none lg:static lg:w-96 lg:shrink-0 lg:border-l"
    >
      <div className="flex min-h-12 shrink-0 items-center justify-between border-b border-line pl-4">
        <h2 className="font-semibold">{title}</h2>
        <IconButton label={t("common.close")} onClick={onClose} data-testid="close-about">
          <X aria-hidden className="size-5" />
        </IconButton>
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto">{children}</div>
    </aside>
  );
}

/** The room is closed to us: what the server, or whoever put us out, says. */
function Out({ name, removed, reason }: { name: string; removed: boolean; reason: string }) {
  const { t } = useTranslation();
  const words =
    removed && reason ? t("call.removedReason", { reason }) : removed ? t("call.removed") : reason;
  return (
    <div
      className="mx-auto grid w-full max-w-lg justify-items-start gap-5 p-6 sm:py-16"
      data-testid="room-out"
    >
      <h1 className="text-2xl font-bold wrap-anywhere">{name}</h1>
      <Alert>{words}</Alert>
      <div className="flex flex-wrap items-center gap-4">
        <Button tone="plain" onClick={() => location.reload()} data-testid="room-again">
          {t("common.retry")}
        </Button>
        <Link
          to="/"
          className="inline-flex min-h-11 items-center font-semibold text-accent underline underline-offset-4"
        >
          {t("common.back")}
        </Link>
      </div>
    </div>
  );
}

/** A short note that goes away by itself. */
function useNotice(): [string | null, (text: string) => void] {
  const [notice, setNotice] = useState<string | null>(null);
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => setNotice(null), 8_000);
    return () => clearTimeout(timer);
  }, [notice]);
  return [notice, setNotice];
}
