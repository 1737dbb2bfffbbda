import type { ListedRoom } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { CircleDot, LogOut, Plus, RefreshCw, ShieldCheck, Shuffle, Users } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { sentence } from "../errors.ts";
import { parlor, useSession } from "../session.tsx";
import { Alert, Button, IconButton, Page, Spinner } from "../ui.tsx";
import { CreateRoom } from "./CreateRoom.tsx";
import { Enter } from "./Enter.tsx";

export function Home() {
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <Rooms /> : <Enter />;
}

function Rooms() {
  const { t } = useTranslation();
  const { user, leave } = useSession();
  const [creating, setCreating] = useState(false);
  const { data, error, isPending, refetch, isFetching } = useQuery({
    queryKey: ["rooms"],
    queryFn: () => parlor.api.rooms(),
    refetchInterval: 15_000,
  });
  const rooms = data?.filter(({ kind }) => kind === "call") ?? [];

  return (
    <Page
      title={t("home.title")}
      aside={
        <div className="flex items-center gap-2">
          <span className="max-w-40 truncate text-soft sm:max-w-none">
            {t("home.hello", { name: user?.nickname })}
          </span>
          <IconButton label={t("home.leave")} onClick={() => void leave()} data-testid="sign-out">
            <LogOut aria-hidden className="size-5" />
          </IconButton>
        </div>
      }
    >
      <Sections reviews={user?.role !== "member"} />
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
      <ul className="grid grid-cols-1 gap-3 sm:grid-cols-2">
        {rooms.map((room) => (
          <RoomItem key={room.id} room={room} />
        ))}
      </ul>
      {creating ? <CreateRoom onClose={() => setCreating(false)} /> : null}
    </Page>
  );
}

/** What there is beside the rooms. */
function Sections({ reviews }: { reviews: boolean }) {
  const { t } = useTranslation();
  return (
    <nav aria-label={t("home.sections")} className="mb-8 flex flex-wrap gap-3">
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

function RoomItem({ room }: { room: ListedRoom }) {
  const { t, i18n } = useTranslation();
  const opened = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeStyle: "short" });
  return (
    <li
      className="flex items-center gap-3 rounded-2xl border border-line bg-surface p-4 shadow-sm"
      data-testid="room"
    >
      <div className="min-w-0 flex-1">
        <h2 className="truncate font-semibold">{room.name}</h2>
        <p className="flex flex-wrap items-center gap-x-2 text-sm text-soft">
          <span className="inline-flex items-center gap-1">
            <Users aria-hidden className="size-4" />
            {t("home.people", { count: room.online })}
          </span>
          <span>{t("home.since", { when: opened.format(new Date(room.createdAt)) })}</span>
        </p>
      </div>
      <Link
        to={`/r/${room.id}`}
        aria-label={t("home.joinRoom", { name: room.name })}
        className="inline-flex min-h-11 items-center rounded-xl border border-line px-4 font-semibold text-accent hover:bg-sunken"
        data-testid="room-join"
      >
        {t("home.join")}
      </Link>
    </li>
  );
}
