import type { Earned } from "@parlor/sdk";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Avatar } from "../account/Avatar.tsx";
import { useMe, usePresence, useTrust } from "../account/me.ts";
import { UpgradeDialog } from "../account/UpgradeDialog.tsx";
import { trustText } from "../account/words.ts";
import { useSession } from "../session.tsx";
import { Button } from "../ui.tsx";
import { Badge, Section } from "./parts.tsx";

/** Who one is here. */
export function Profile() {
  const { t } = useTranslation();
  const { user } = useSession();
  const me = useMe();
  const presence = usePresence();
  const trust = useTrust();
  const [upgrading, setUpgrading] = useState(false);
  if (!user) return null;
  const lines = [
    [
      t("settings.profile.kind"),
      t(me?.account ? "settings.profile.kindAccount" : "settings.profile.kindGuest"),
    ],
    ...(me?.account
      ? [[t("settings.profile.email"), me.account.email ?? t("settings.profile.noEmail")]]
      : []),
    [t("settings.profile.age"), me ? t(`settings.profile.ages.${me.ageLevel}`) : ""],
    [t("settings.profile.knownFor"), trust ? t("settings.profile.known", { count: trust.ageDays }) : ""],
    [t("settings.profile.messages"), trust ? String(trust.messages) : ""],
  ];
  return (
    <>
      <Section title={t("settings.profile.title")}>
        <div className="flex min-w-0 flex-wrap items-center gap-4">
          {/* Picture and name stay together; what there is to press goes below where there is no room beside them. */}
          <div className="flex min-w-0 flex-1 basis-60 items-center gap-4">
            <Avatar name={user.nickname} status={presence?.wish?.status} large />
            <div className="min-w-0 flex-1">
              <p className="text-xl leading-snug font-semibold wrap-anywhere" data-testid="profile-name">
                {user.nickname}
              </p>
              {user.role === "member" ? null : <Badge on>{t(`account.${user.role}`)}</Badge>}
              {presence?.text ? <p className="text-soft wrap-anywhere">{presence.text}</p> : null}
            </div>
          </div>
          {me && !me.account ? (
            <Button
              onClick={() => setUpgrading(true)}
              className="flex-1 sm:flex-none"
              data-testid="profile-upgrade"
            >
              {t("account.upgrade")}
            </Button>
          ) : null}
        </div>
        <dl>
          {lines.map(([what, value]) => (
            <div
              key={what}
              className="flex flex-wrap justify-between gap-x-4 border-b border-line py-2 last:border-0"
            >
              <dt className="text-soft">{what}</dt>
              <dd className="font-medium wrap-anywhere">{value}</dd>
            </div>
          ))}
        </dl>
      </Section>
      {trust ? <Trust earned={trust} /> : null}
      {upgrading ? <UpgradeDialog onClose={() => setUpgrading(false)} /> : null}
    </>
  );
}

/** How far one is trusted, and how far it is to the next level. */
function Trust({ earned }: { earned: Earned }) {
  const { t, i18n } = useTranslation();
  const { level, next, ageDays, messages } = earned;
  return (
    <Section
      title={t("settings.profile.trust")}
      intro={t("settings.profile.trustIntro")}
      testId="trust-section"
    >
      <p>
        <Badge on={level !== "new"}>{t(`account.trust.${level}`)}</Badge>
      </p>
      <p>{trustText(t, earned, i18n.language)}</p>
      {next ? (
        <div className="grid gap-3">
          <p className="font-medium">
            {t("settings.profile.progress", { level: t(`account.trust.${next.level}`) })}
          </p>
          <Way what={t("settings.profile.days")} done={ageDays} needed={ageDays + next.days} />
          <Way what={t("settings.profile.messages")} done={messages} needed={messages + next.messages} />
        </div>
      ) : null}
    </Section>
  );
}

function Way({ what, done, needed }: { what: string; done: number; needed: number }) {
  const { t } = useTranslation();
  return (
    <div className="grid gap-1">
      <p className="flex justify-between gap-4 text-sm">
        <span className="text-soft">{what}</span>
        <span className="font-medium">{t("settings.profile.of", { done, needed })}</span>
      </p>
      <progress
        className="bar w-full"
        aria-label={what}
        max={Math.max(needed, 1)}
        value={needed === 0 ? 1 : done}
      />
    </div>
  );
}
