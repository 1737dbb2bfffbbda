import { useTranslation } from "react-i18next";
import { NavLink } from "react-router";
import { isOn } from "../place/place.ts";
import { useSession } from "../session.tsx";
import { Count, Disc } from "./fields.tsx";
import { isHushed, titleOf, useInbox } from "./hooks.ts";
import { KindIcon } from "./kinds.tsx";

const ITEM =
  "flex min-h-11 items-center gap-3 rounded-xl px-3 hover:bg-sunken aria-[current=page]:bg-tint aria-[current=page]:font-semibold";

/** One's rooms and conversations, with what is unread in each. */
export function RoomList() {
  const { t } = useTranslation();
  const { user } = useSession();
  const { ready, rooms, directs, unread } = useInbox();
  const open = rooms.filter(({ archivedAt }) => archivedAt === null);
  const away = rooms.filter(({ archivedAt }) => archivedAt !== null);
  if (!ready) return null;
  return (
    <>
      <Heading>{t("inbox.rooms")}</Heading>
      {open.length === 0 ? <p className="px-3 py-1 text-sm text-soft">{t("inbox.noRooms")}</p> : null}
      <ul>
        {open.map((room) => (
          <li key={room.id}>
            <NavLink to={`/r/${room.id}`} className={ITEM} data-testid="my-room" data-name={room.name}>
              <KindIcon kind={room.kind} className="size-4 text-soft" />
              <Name name={room.name} loud={(unread.get(room.id)?.unread ?? 0) > 0} />
              <Unread roomId={room.id} />
            </NavLink>
          </li>
        ))}
      </ul>
      {isOn("directMessages") ? <Heading>{t("inbox.directs")}</Heading> : null}
      {directs.length === 0 && isOn("directMessages") ? (
        <p className="px-3 py-1 text-sm text-soft">{t("inbox.noDirects")}</p>
      ) : null}
      <ul>
        {directs.map((direct) => {
          const name = titleOf(direct, user?.id);
          return (
            <li key={direct.room.id}>
              <NavLink to={`/r/${direct.room.id}`} className={ITEM} data-testid="my-direct" data-name={name}>
                <Disc name={name} size="size-6" />
                <Name name={name} loud={(unread.get(direct.room.id)?.unread ?? 0) > 0} />
                <Unread roomId={direct.room.id} loud />
              </NavLink>
            </li>
          );
        })}
      </ul>
      {away.length > 0 ? (
        <details>
          <summary className="flex min-h-11 cursor-pointer items-center rounded-xl px-3 text-sm text-soft hover:bg-sunken">
            {t("inbox.archived", { count: away.length })}
          </summary>
          <ul>
            {away.map((room) => (
              <li key={room.id}>
                <NavLink to={`/r/${room.id}`} className={ITEM} data-testid="archived-room">
                  <KindIcon kind={room.kind} className="size-4 text-soft" />
                  <Name name={room.name} loud={false} />
                </NavLink>
              </li>
            ))}
          </ul>
        </details>
      ) : null}
    </>
  );
}

function Heading({ children }: { children: string }) {
  return (
    <h2 className="px-3 pt-3 pb-1 text-xs font-semibold tracking-wide text-soft uppercase first:pt-1">
      {children}
    </h2>
  );
}

function Name({ name, loud }: { name: string; loud: boolean }) {
  return <span className={`min-w-0 flex-1 truncate ${loud ? "font-semibold" : ""}`}>{name}</span>;
}

/** How much is unread; what calls one's name is told louder. */
export function Unread({ roomId, loud = false }: { roomId: string; loud?: boolean }) {
  const { t } = useTranslation();
  const it = useInbox().unread.get(roomId);
  if (!it || isHushed(it)) return null;
  if (it.mentions > 0) {
    return <Count count={it.mentions} loud label={t("inbox.mentions", { count: it.mentions })} />;
  }
  if (it.level === "mentions") return null;
  return <Count count={it.unread} loud={loud} label={t("inbox.unread", { count: it.unread })} />;
}
