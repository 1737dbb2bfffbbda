import { DatabaseBackup, EyeOff, type LucideIcon, ShieldCheck, UserRound, UsersRound } from "lucide-react";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, NavLink, useParams } from "react-router";
import { Enter } from "../pages/Enter.tsx";
import { NotFound } from "../pages/NotFound.tsx";
import { useSession } from "../session.tsx";
import { Page, Spinner } from "../ui.tsx";
import { GuestsHere } from "./GuestsHere.tsx";
import { Privacy } from "./Privacy.tsx";
import { Profile } from "./Profile.tsx";
import { Security } from "./Security.tsx";
import { YourData } from "./YourData.tsx";

type Name = "profile" | "privacy" | "security" | "data" | "guests";

const SECTIONS: { name: Name; icon: LucideIcon; content: () => ReactNode }[] = [
  { name: "profile", icon: UserRound, content: Profile },
  { name: "privacy", icon: EyeOff, content: Privacy },
  { name: "security", icon: ShieldCheck, content: Security },
  { name: "data", icon: DatabaseBackup, content: YourData },
  { name: "guests", icon: UsersRound, content: GuestsHere },
];

/** All that is one's own: `/settings` and its sections. */
export function SettingsPage() {
  const { t } = useTranslation();
  const { status, user } = useSession();
  const { section } = useParams();
  if (status === "loading") return <Spinner />;
  if (status === "out") return <Enter />;
  if (!section) return <Navigate to="/settings/profile" replace />;
  const chosen = SECTIONS.find(({ name }) => name === section);
  if (!chosen) return <NotFound />;
  const Content = chosen.content;
  return (
    <Page title={t(`settings.sections.${chosen.name}`)}>
      <div className="grid items-start gap-6 md:grid-cols-[14rem_minmax(0,1fr)]">
        <nav aria-label={t("settings.title")} className="md:sticky md:top-6">
          <p className="mb-3 text-2xl font-bold md:text-3xl">{t("settings.title")}</p>
          <ul className="flex flex-wrap gap-1 md:grid">
            {SECTIONS.map(({ name, icon: Icon }) => (
              <li key={name}>
                <NavLink
                  to={`/settings/${name}`}
                  className="flex min-h-11 items-center gap-3 rounded-xl border border-line bg-surface px-3 font-medium hover:bg-sunken aria-[current=page]:border-accent aria-[current=page]:bg-tint md:border-transparent md:bg-transparent md:aria-[current=page]:border-transparent"
                  data-testid={`section-${name}`}
                >
                  <Icon aria-hidden className="hidden size-5 text-accent sm:block" />
                  {t(`settings.sections.${name}`)}
                </NavLink>
              </li>
            ))}
          </ul>
        </nav>
        <div key={`${user?.id} ${chosen.name}`} className="grid gap-5">
          <h1 className="sr-only">{t(`settings.sections.${chosen.name}`)}</h1>
          <Content />
        </div>
      </div>
    </Page>
  );
}
