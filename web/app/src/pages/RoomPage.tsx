import { type CallOver, ParlorError } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { Lobby } from "../call/Lobby.tsx";
import { MeetingView } from "../call/MeetingView.tsx";
import { LocalMedia } from "../call/media.ts";
import { sentence } from "../errors.ts";
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
  return status === "in" ? <RoomSteps key={roomId} roomId={roomId} /> : <Enter />;
}

function RoomSteps({ roomId }: { roomId: string }) {
  const [media] = useState(() => new LocalMedia());
  const [inside, setInside] = useState(false);
  const [ending, setEnding] = useState<Ending | null>(null);
  const room = useQuery({
    queryKey: ["room", roomId],
    queryFn: () => parlor.api.room(roomId),
    retry: (count, error) => !(error instanceof ParlorError) && count < 3,
  });
  const known = room.data !== undefined;
  // Before an audience cameras stay off: whoever is a host switches theirs on inside.
  const live = room.data?.kind === "live";
  const capturing = known && !live && ending === null;

  useEffect(() => {
    if (!capturing) return;
    void media.open();
    return () => media.close();
  }, [media, capturing]);

  if (room.error instanceof ParlorError && ["not_found", "bad_request"].includes(room.error.code))
    return <NotFound />;
  if (room.error) return <Failed problem={sentence(room.error)} onRetry={() => void room.refetch()} />;
  if (!room.data) return <Spinner />;
  if (ending) {
    const again = () => {
      setEnding(null);
      setInside(false);
    };
    return <Ended name={room.data.name} ending={ending} onAgain={again} />;
  }
  if (!inside && live) return <LiveDoor name={room.data.name} onJoin={() => setInside(true)} />;
  if (!inside) return <Lobby name={room.data.name} media={media} onJoin={() => setInside(true)} />;
  return <MeetingView roomId={roomId} name={room.data.name} media={media} onEnd={setEnding} />;
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

function Failed({ problem, onRetry }: { problem: string; onRetry: () => void }) {
  const { t } = useTranslation();
  return (
    <Page title={t("app.name")}>
      <div className="grid justify-items-start gap-4">
        <Alert>{problem}</Alert>
        <Button onClick={onRetry}>{t("common.retry")}</Button>
      </div>
    </Page>
  );
}

function Ended({ name, ending, onAgain }: { name: string; ending: Ending; onAgain: () => void }) {
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
