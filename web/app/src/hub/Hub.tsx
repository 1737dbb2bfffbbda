import { Compass, House, type LucideIcon, MessageCircle, Phone } from "lucide-react";
import { type ReactNode, use } from "react";
import { useTranslation } from "react-i18next";
import { Link, NavLink } from "react-router";
import { useMedia } from "../call/hooks.ts";
import { Logo, useName } from "../place/Brand.tsx";
import { isOn } from "../place/place.ts";
import { PageEnds, useTitle } from "../ui.tsx";
import { Count } from "./fields.tsx";
import { isHushed, useCounting, useInbox, useMissed } from "./hooks.ts";
import { RoomList } from "./RoomList.tsx";

/** From this width on the places are at the left. */
export const WIDE = "(min-width: 56rem)";

interface HubProps {
  title: string;
  children: ReactNode;
  /** The page fills the place, and scrolls by itself: a conversation. On a narrow page it is alone. */
  full?: boolean;
}

/** The frame of everything that is not a call: where one can go at the left, or below on a narrow page. */
export function Hub({ title, children, full = false }: HubProps) {
  const wide = useMedia(WIDE);
  const { banner } = use(PageEnds);
  useTitle(title);
  useCounting();
  if (wide) {
    return (
      <div className="flex h-dvh">
        <Rail />
        <div className="flex min-w-0 flex-1 flex-col">
          {banner}
          <main id="content" className={MAIN}>
            {full ? children : <Sheet>{children}</Sheet>}
          </main>
        </div>
      </div>
    );
  }
  return (
    <div className="flex h-dvh flex-col">
      {full ? null : <TopBar />}
      {banner}
      <main id="content" className={MAIN}>
        {full ? children : <Sheet>{children}</Sheet>}
      </main>
      {full ? null : <BottomBar />}
    </div>
  );
}

const MAIN = "flex min-h-0 min-w-0 flex-1 flex-col overflow-y-auto";

function Sheet({ children }: { children: ReactNode }) {
  return <div className="mx-auto w-full max-w-4xl px-4 py-5 sm:px-6 sm:py-8">{children}</div>;
}

interface Place {
  to: string;
  icon: LucideIcon;
  label: string;
  count: number;
  countLabel: string;
  testId: string;
}

/** Where one can go, and what waits there. */
function usePlaces(): Place[] {
  const { t } = useTranslation();
  const { directs, requests, unread } = useInbox();
  const { missed } = useMissed();
  const written = directs.filter(({ room }) => {
    const it = unread.get(room.id);
    return it && it.unread > 0 && !isHushed(it);
  }).length;
  const waiting = written + requests.length;
  const places: Place[] = [
    { to: "/", icon: House, label: t("inbox.home"), count: 0, countLabel: "", testId: "go-home" },
    { to: "/rooms", icon: Compass, label: t("inbox.find"), count: 0, countLabel: "", testId: "go-rooms" },
    {
      to: "/messages",
      icon: MessageCircle,
      label: t("inbox.messages"),
      count: waiting,
      countLabel: t("inbox.waiting", { count: waiting }),
      testId: "go-messages",
    },
    {
      to: "/calls",
      icon: Phone,
      label: t("inbox.calls"),
      count: missed,
      countLabel: t("inbox.missed", { count: missed }),
      testId: "go-calls",
    },
  ];
  return places.filter(({ to }) => to !== "/messages" || isOn("directMessages"));
}

function Rail() {
  const { t } = useTranslation();
  const places = usePlaces();
  return (
    <div className="flex w-72 shrink-0 flex-col border-r border-line bg-surface">
      <header>
        <Link to="/" className="flex min-h-16 items-center gap-2 px-4 text-xl font-bold">
          <Logo className="size-8" />
          <span className="truncate">{useName()}</span>
        </Link>
      </header>
      <nav aria-label={t("inbox.places")} className="grid gap-0.5 px-2 pb-2">
        {places.map(({ to, icon: Icon, label, count, countLabel, testId }) => (
          <NavLink
            key={to}
            to={to}
            end={to === "/"}
            className="flex min-h-11 items-center gap-3 rounded-xl px-3 font-medium hover:bg-sunken aria-[current=page]:bg-tint aria-[current=page]:font-semibold"
            data-testid={testId}
          >
            <Icon aria-hidden className="size-5 text-accent" />
            <span className="min-w-0 flex-1 truncate">{label}</span>
            <Count count={count} loud label={countLabel} />
          </NavLink>
        ))}
      </nav>
      <nav
        aria-label={t("inbox.mine")}
        className="min-h-0 flex-1 overflow-y-auto border-t border-line px-2 py-2"
      >
        <RoomList />
      </nav>
      <Me />
    </div>
  );
}

function Me() {
  return <footer className="border-t border-line p-2">{use(PageEnds).header}</footer>;
}

function TopBar() {
  return (
    <header className="flex min-h-14 shrink-0 items-center gap-1 border-b border-line bg-surface px-3">
      <Link to="/" className="flex min-h-11 min-w-0 flex-1 items-center gap-2 text-lg font-bold">
        <Logo className="size-7" />
        <span className="truncate">{useName()}</span>
      </Link>
      {use(PageEnds).header}
    </header>
  );
}

function BottomBar() {
  const { t } = useTranslation();
  const places = usePlaces();
  return (
    <nav
      aria-label={t("inbox.places")}
      className="grid shrink-0 auto-cols-fr grid-flow-col border-t border-line bg-surface pb-[env(safe-area-inset-bottom)]"
    >
      {places.map(({ to, icon: Icon, label, count, countLabel, testId }) => (
        <NavLink
          key={to}
          to={to}
          end={to === "/"}
          className="relative flex min-h-14 flex-col items-center justify-center gap-0.5 text-xs text-soft aria-[current=page]:font-semibold aria-[current=page]:text-ink"
          data-testid={testId}
        >
          <Icon aria-hidden className="size-6" />
          {label}
          <span className="absolute top-1 left-1/2 ml-1.5">
            <Count count={count} loud label={countLabel} />
          </span>
        </NavLink>
      ))}
    </nav>
  );
}
