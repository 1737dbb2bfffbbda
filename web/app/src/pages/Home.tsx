import { useQuery } from "@tanstack/react-query";
import { CircleDot, Plus, RefreshCw, ShieldCheck, Shuffle } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useMedia } from "../call/hooks.ts";
import { sentence } from "../errors.ts";
import { Hub, WIDE } from "../hub/Hub.tsx";
import { RoomList } from "../hub/RoomList.tsx";
import { isOn } from "../place/place.ts";
import { RoomCards } from "../rooms/RoomCards.tsx";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, IconButton, Spinner } from "../ui.tsx";
import { CreateRoom } from "./CreateRoom.tsx";
import { Enter } from "./Enter.tsx";

export function Home() {
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <Rooms /> : <Enter />;
}

function Rooms() {
  const { t } = useTranslation();
  const { user } = useSession();
  const [creating, setCreating] = useState(false);
  const wide = useMedia(WIDE);
  const { data, error, isPending, refetch, isFetching } = useQuery({
    queryKey: ["rooms"],
    queryFn: () => parlor.rooms.find(),
    refetchInterval: 15_000,
  });
  const rooms = data?.items ?? [];

  return (
    <Hub title={t("home.title")}>
      <Sections reviews={user?.role !== "member"} />
      {wide ? null : (
        <nav aria-label={t("inbox.mine")} className="mb-8 rounded-2xl border border-line bg-surface p-2">
          <RoomList />
        </nav>
      )}
      <div className="mb-5 flex flex-wrap items-center gap-2">
        <h1 className="mr-auto text-3xl font-bold">{t("home.title")}</h1>
        <IconButton label={t("home.refresh")} onClick={() => void refetch()} disabled={isFetching}>
          <RefreshCw aria-hidden className="size-5" />
        </IconButton>
        <Button onClick={() => setCreating(true)} data-testid="create-room">
          <Plus aria-hidden className="size-5" />
          {t("home.create")}
        </Button>
      </div>
      {error ? <Alert>{sentence(error)}</Alert> : null}
      {isPending ? <Spinner /> : null}
      {data && rooms.length === 0 ? (
        <p className="rounded-2xl border border-dashed border-line p-8 text-center text-soft">
          {t("home.empty")}
        </p>
      ) : null}
      <RoomCards rooms={rooms} />
      {creating ? <CreateRoom onClose={() => setCreating(false)} /> : null}
    </Hub>
  );
}

/** What there is beside the rooms. */
function Sections({ reviews }: { reviews: boolean }) {
  const { t } = useTranslation();
  return (
    <nav aria-label={t("home.sections")} className="mb-8 flex flex-wrap gap-3">
      {isOn("matching") ? (
        <Link
          to="/match"
          className="flex min-h-16 flex-1 basis-72 items-center gap-4 rounded-2xl bg-accent px-5 py-3 text-on-accent shadow-sm hover:bg-accent-strong"
          data-testid="go-match"
        >
          <Shuffle aria-hidden className="size-7 shrink-0" />
          <span>
            <span className="block text-lg font-semibold">{t("home.match")}</span>
            <span className="block text-sm">{t("home.matchHint")}</span>
          </span>
        </Link>
      ) : null}
      <SectionLink to="/recordings" testId="go-recordings">
        <CircleDot aria-hidden className="size-5 text-accent" />
        {t("home.recordings")}
      </SectionLink>
      {reviews ? (
        <SectionLink to="/review" testId="go-review">
          <ShieldCheck aria-hidden className="size-5 text-accent" />
          {t("home.review")}
        </SectionLink>
      ) : null}
    </nav>
  );
}

function SectionLink({ to, testId, children }: { to: string; testId: string; children: ReactNode }) {
  return (
    <Link
      to={to}
      className="inline-flex min-h-14 flex-1 items-center justify-center gap-2 rounded-2xl border border-line bg-surface px-5 font-semibold shadow-sm hover:bg-sunken sm:flex-none"
      data-testid={testId}
    >
      {children}
    </Link>
  );
}
