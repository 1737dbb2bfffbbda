import type { SeenRoom } from "@parlor/sdk";
import { Lock, Users } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useInbox } from "../hub/hooks.ts";
import { KindIcon } from "../hub/kinds.tsx";
import { useCategoryWord } from "./words.ts";

/** Rooms that one may come into. */
export function RoomCards({ rooms }: { rooms: readonly SeenRoom[] }) {
  const mine = useInbox().rooms;
  return (
    <ul className="grid grid-cols-1 gap-3 sm:grid-cols-2">
      {rooms.map((room) => (
        <RoomCard key={room.id} room={room} mine={mine.some(({ id }) => id === room.id)} />
      ))}
    </ul>
  );
}

function RoomCard({ room, mine }: { room: SeenRoom; mine: boolean }) {
  const { t, i18n } = useTranslation();
  const word = useCategoryWord();
  const opened = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium" });
  const { description, category, contentLevel, hasPin, joinRequests } = room.settings;
  const door = hasPin ? t("rooms.needsPin") : joinRequests ? t("rooms.needsAsking") : null;
  return (
    <li
      className="flex flex-col gap-3 rounded-2xl border border-line bg-surface p-4 shadow-sm"
      data-testid="room"
      data-name={room.name}
    >
      <div className="flex min-w-0 items-start gap-3">
        <span className="grid size-10 shrink-0 place-items-center rounded-xl bg-tint text-accent">
          <KindIcon kind={room.kind} />
        </span>
        <div className="min-w-0 flex-1">
          <h2 className="truncate font-semibold">{room.name}</h2>
          <p className="flex flex-wrap items-center gap-x-2 text-sm text-soft">
            <span>{t(`rooms.kind.${room.kind}`)}</span>
            <span className="inline-flex items-center gap-1">
              <Users aria-hidden className="size-4" />
              {t("home.people", { count: room.online })}
            </span>
          </p>
        </div>
        <Link
          to={`/r/${room.id}`}
          aria-label={t(mine ? "rooms.openRoom" : "home.joinRoom", { name: room.name })}
          className="inline-flex min-h-11 items-center rounded-xl border border-line px-4 font-semibold text-accent hover:bg-sunken"
          data-testid="room-join"
        >
          {t(mine ? "rooms.open" : "home.join")}
        </Link>
      </div>
      {description ? <p className="line-clamp-2 text-sm wrap-anywhere">{description}</p> : null}
      <p className="mt-auto flex flex-wrap items-center gap-x-2 gap-y-1 text-sm text-soft">
        {category ? <Chip>{word(category)}</Chip> : null}
        {contentLevel === "general" ? null : <Chip>{t(`rooms.level.${contentLevel}`)}</Chip>}
        {door ? (
          <span className="inline-flex items-center gap-1">
            <Lock aria-hidden className="size-3.5" />
            {door}
          </span>
        ) : null}
        <span>{t("home.since", { when: opened.format(new Date(room.createdAt)) })}</span>
      </p>
    </li>
  );
}

function Chip({ children }: { children: string }) {
  return <span className="rounded-full bg-sunken px-2 py-0.5 text-ink">{children}</span>;
}
