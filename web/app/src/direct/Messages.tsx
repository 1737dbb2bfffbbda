import type { Direct } from "@parlor/sdk";
import { Ban, Inbox, SquarePen } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Count, Disc } from "../hub/fields.tsx";
import { Hub } from "../hub/Hub.tsx";
import { titleOf, useInbox } from "../hub/hooks.ts";
import { Unread } from "../hub/RoomList.tsx";
import { Enter } from "../pages/Enter.tsx";
import { NotHere } from "../place/Brand.tsx";
import { isOn } from "../place/place.ts";
import { useSession } from "../session.tsx";
import { Button, Spinner } from "../ui.tsx";
import { NewMessage } from "./NewMessage.tsx";
import { TakenFrom } from "./TakenFrom.tsx";

/** `/messages`: conversations, what strangers wrote, and from whom one takes messages. */
export function Messages() {
  const { status } = useSession();
  if (status === "loading") return <Spinner />;
  return status === "in" ? <List /> : <Enter />;
}

function List() {
  const { t } = useTranslation();
  const { ready, directs, requests } = useInbox();
  const [writing, setWriting] = useState(false);
  if (!isOn("directMessages"))
    return (
      <Hub title={t("direct.title")}>
        <NotHere />
      </Hub>
    );
  return (
    <Hub title={t("direct.title")}>
      <div className="mb-5 flex flex-wrap items-center gap-2">
        <h1 className="mr-auto text-3xl font-bold">{t("direct.title")}</h1>
        <Button onClick={() => setWriting(true)} data-testid="new-message">
          <SquarePen aria-hidden className="size-5" />
          {t("direct.new")}
        </Button>
      </div>
      <div className="mb-5 grid gap-2 sm:grid-cols-2">
        <Shortcut to="/messages/requests" testId="go-requests">
          <Inbox aria-hidden className="size-5 text-accent" />
          <span className="flex-1">{t("direct.requests")}</span>
          <Count count={requests.length} loud label={t("direct.requestCount", { count: requests.length })} />
        </Shortcut>
        <Shortcut to="/blocked" testId="go-blocked">
          <Ban aria-hidden className="size-5 text-accent" />
          <span className="flex-1">{t("direct.blocked")}</span>
        </Shortcut>
      </div>
      {ready ? null : <Spinner />}
      {ready && directs.length === 0 ? (
        <p className="rounded-2xl border border-dashed border-line p-8 text-center text-soft">
          {t("direct.empty")}
        </p>
      ) : null}
      <ul className="grid grid-cols-1 gap-1">
        {directs.map((direct) => (
          <Item key={direct.room.id} direct={direct} />
        ))}
      </ul>
      <TakenFrom />
      {writing ? <NewMessage onClose={() => setWriting(false)} /> : null}
    </Hub>
  );
}

function Shortcut({ to, testId, children }: { to: string; testId: string; children: ReactNode }) {
  return (
    <Link
      to={to}
      className="flex min-h-12 items-center gap-3 rounded-xl border border-line bg-surface px-4 font-medium hover:bg-sunken"
      data-testid={testId}
    >
      {children}
    </Link>
  );
}

function Item({ direct }: { direct: Direct }) {
  const { t, i18n } = useTranslation();
  const { user } = useSession();
  const name = titleOf(direct, user?.id);
  const { lastMessage: last, stirredAt, room, request } = direct;
  const words = last
    ? last.deleted
      ? t("chat.deleted")
      : last.content.text || t("direct.something")
    : t(request ? "direct.notYet" : "direct.nothing");
  return (
    <li>
      <Link
        to={`/r/${room.id}`}
        className="flex min-h-16 items-center gap-3 rounded-2xl px-3 py-2 hover:bg-sunken"
        data-testid="direct"
        data-name={name}
      >
        <Disc name={name} size="size-11" />
        <span className="min-w-0 flex-1">
          <span className="flex items-baseline gap-2">
            <span className="min-w-0 flex-1 truncate font-semibold">{name}</span>
            <time dateTime={stirredAt} className="shrink-0 text-sm text-soft">
              {whenOf(stirredAt, i18n.language)}
            </time>
          </span>
          <span className="flex items-center gap-2">
            <span className="min-w-0 flex-1 truncate text-soft">
              {last && last.sender.id === user?.id ? t("direct.mine", { words }) : words}
            </span>
            <Unread roomId={room.id} loud />
          </span>
        </span>
      </Link>
    </li>
  );
}

/** The hour for what is of today, else the day. */
export function whenOf(time: string, language: string): string {
  const at = new Date(time);
  const today = new Date().toDateString() === at.toDateString();
  return new Intl.DateTimeFormat(
    language,
    today ? { timeStyle: "short" } : { day: "numeric", month: "short" },
  ).format(at);
}
