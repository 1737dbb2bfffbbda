import { type CallOver, ParlorError, type SeenRoom } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { Lobby } from "../call/Lobby.tsx";
import { MeetingView } from "../call/MeetingView.tsx";
import { LocalMedia } from "../call/media.ts";
import { sentence } from "../errors.ts";
import { Hub } from "../hub/Hub.tsx";
import { useInbox, useMine } from "../hub/hooks.ts";
import { isWritten } from "../hub/kinds.tsx";
import { useName } from "../place/Brand.tsx";
import { Asking, Door } from "../rooms/Door.tsx";
import { RoomView } from "../rooms/RoomView.tsx";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, Page, Spinner } from "../ui.tsx";
import { Enter } from "./Enter.tsx";
import { NotFound } from "./NotFound.tsx";

/** Why one is no longer in the call. */
export type Ending =
  | { kind: "left" }
  | { kind: "removed"; reason: string }
  | { kind: "over"; reason: CallOver["reason"] }
  | { kind: "refused"; reason: string };

export function RoomPage() {
  const { roomId = "" } = useParams();
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <Entrance key={roomId} roomId={roomId} /> : <Enter />;
}

/** By which way one comes in: to the text, to the call, or first of all to the door. */
function Entrance({ roomId }: { roomId: string }) {
  const { ready, rooms, directs } = useInbox();
  const [entered, setEntered] = useState(false);
  const room = useQuery({
    queryKey: ["room", roomId],
    queryFn: () => parlor.rooms.look(roomId),
    retry: (count, error) => !(error instanceof ParlorError) && count < 3,
  });
  // Once inside one stays there, whatever the lists say: being put out is told by the room itself.
  const belongs = rooms.some(({ id }) => id === roomId) || directs.some((it) => it.room.id === roomId);
  const [inside, setInside] = useState(false);
  if (belongs && !inside) setInside(true);

  if (room.error instanceof ParlorError && ["not_found", "bad_request"].includes(room.error.code))
    return <Closed roomId={roomId} onInside={() => void room.refetch()} />;
  if (room.error) return <Failed problem={sentence(room.error)} onRetry={() => void room.refetch()} />;
  if (!room.data) return <Spinner />;
  const written = isWritten(room.data.kind);
  const { hasPin, joinRequests } = room.data.settings;
  if (written || hasPin || joinRequests) {
    if (!ready) return <Spinner />;
    if (!inside && !entered)
      return (
        <Hub title={room.data.name}>
          <Door room={room.data} onInside={() => setEntered(true)} />
        </Hub>
      );
  }
  return written ? <RoomView room={room.data} /> : <RoomSteps room={room.data} />;
}

/** There is no such room, or none for us: a private one may be asked at all the same, by whoever has its link. */
function Closed({ roomId, onInside }: { roomId: string; onInside: () => void }) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  // What is no id is no room.
  if (!/^[0-9a-f-]{36}$/.test(roomId)) return <NotFound />;
  return (
    <Hub title={t("notFound.title")}>
      <div data-testid="not-found" className="mx-auto grid w-full max-w-lg justify-items-start gap-4">
        <h1 className="text-2xl font-bold">{t("notFound.title")}</h1>
        <p className="text-soft">{t("rooms.closed")}</p>
        {asking ? (
          <Asking roomId={roomId} onInside={onInside} />
        ) : (
          <Button tone="plain" onClick={() => setAsking(true)} data-testid="ask-closed">
            {t("rooms.ask")}
          </Button>
        )}
        <Link
          to="/"
          className="inline-flex min-h-11 items-center font-semibold text-accent underline underline-offset-4"
        >
          {t("common.back")}
        </Link>
      </div>
    </Hub>
  );
}

function RoomSteps({ room: { id: roomId, name, kind } }: { room: SeenRoom }) {
  const mine = useMine(roomId);
  const [media] = useState(() => new LocalMedia());
  const [inside, setInside] = useState(false);
  const [ending, setEnding] = useState<Ending | null>(null);
  // Before an audience cameras stay off: whoever is a host switches theirs on inside.
  const live = kind === "live";
  const capturing = !live && ending === null;

  useEffect(() => {
    if (!capturing) return;
    void media.open();
    return () => media.close();
  }, [media, capturing]);

  if (ending) {
    const again = () => {
      setEnding(null);
      setInside(false);
    };
    return <Ended name={name} ending={ending} onAgain={again} />;
  }
  if (!inside && live) return <LiveDoor name={name} onJoin={() => setInside(true)} />;
  if (!inside)
    return (
      <Lobby
        name={name}
        media={media}
        onJoin={() => setInside(true)}
        about={mine ? `/r/${roomId}/about` : null}
      />
    );
  return <MeetingView roomId={roomId} name={name} media={media} onEnd={setEnding} />;
}

/** Before a live room: a click is what lets the browser play its sound. */
function LiveDoor({ name, onJoin }: { name: string; onJoin: () => void }) {
  const { t } = useTranslation();
  return (
    <Page title={name}>
      <div className="grid justify-items-start gap-5">
        <h1 className="text-3xl font-bold wrap-anywhere">{name}</h1>
        <Button onClick={onJoin} className="min-h-12 text-lg" data-testid="join">
          {t("streams.watch_live")}
        </Button>
      </div>
    </Page>
  );
}

export function Failed({ problem, onRetry }: { problem: string; onRetry: () => void }) {
  const { t } = useTranslation();
  return (
    <Page title={useName()}>
      <div className="grid justify-items-start gap-4">
        <Alert>{problem}</Alert>
        <Button onClick={onRetry}>{t("common.retry")}</Button>
      </div>
    </Page>
  );
}

export function Ended({ name, ending, onAgain }: { name: string; ending: Ending; onAgain: () => void }) {
  const { t } = useTranslation();
  const text = {
    left: () => t("call.left"),
    removed: () =>
      ending.kind === "removed" && ending.reason
        ? t("call.removedReason", { reason: ending.reason })
        : t("call.removed"),
    over: () => t(ending.kind === "over" && ending.reason === "ended_by_host" ? "host.ended" : "host.putOut"),
    refused: () => (ending.kind === "refused" ? ending.reason : ""),
  }[ending.kind]();
  return (
    <Page title={name}>
      <div className="grid justify-items-start gap-5" data-testid="ended" data-kind={ending.kind}>
        <h1 className="text-3xl font-bold wrap-anywhere">{name}</h1>
        <p role="status">{text}</p>
        <div className="flex flex-wrap items-center gap-4">
          {ending.kind === "removed" ? null : (
            <Button onClick={onAgain} data-testid="rejoin">
              {t(ending.kind === "refused" ? "common.retry" : "call.rejoin")}
            </Button>
          )}
          <Link
            to="/"
            className="inline-flex min-h-11 items-center font-semibold text-accent underline underline-offset-4"
          >
            {t("common.back")}
          </Link>
        </div>
      </div>
    </Page>
  );
}
