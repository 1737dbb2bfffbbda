import { MessageSquare, Shuffle, UserRoundX, Video } from "lucide-react";
import { Tabs } from "radix-ui";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { CreateAccount } from "../account/CreateAccount.tsx";
import { EnterAsGuest } from "../account/EnterAsGuest.tsx";
import { GoOnAs } from "../account/GoOnAs.tsx";
import { ReceiptNotice } from "../account/ReceiptNotice.tsx";
import { SignIn } from "../account/SignIn.tsx";
import { isOn } from "../place/place.ts";
import { parlor, useSession } from "../session.tsx";
import { Page } from "../ui.tsx";
import { BannedNotice } from "./BannedNotice.tsx";

const WAYS = ["guest", "signIn", "create"] as const;

/** The door: shown in place of any page that needs a name. */
export function Enter() {
  const { t } = useTranslation();
  const { banned, forgetBan, receipt } = useSession();
  return (
    <Page title={t("enter.title")}>
      <div className="grid items-start gap-8 lg:grid-cols-2 lg:gap-16">
        <Welcome />
        {receipt ? (
          <ReceiptNotice signed={receipt} />
        ) : banned ? (
          <BannedNotice banned={banned} onRetry={forgetBan} />
        ) : (
          <Door />
        )}
      </div>
    </Page>
  );
}

function Door() {
  const { t } = useTranslation();
  const { enter, signedOut } = useSession();
  const [way, setWay] = useState<string>("guest");
  const main = parlor.guests?.main ?? null;
  return (
    <div className="grid gap-4">
      {signedOut ? <SignedOut code={signedOut} /> : null}
      <section className="rounded-2xl border border-line bg-surface p-5 shadow-sm sm:p-6">
        <h2 className="mb-4 text-xl font-semibold">{t("enter.title")}</h2>
        <GoOnAs />
        <Tabs.Root value={way} onValueChange={setWay}>
          <Tabs.List
            aria-label={t("account.ways")}
            className="mb-5 grid grid-cols-3 gap-1 rounded-xl bg-sunken p-1"
          >
            {WAYS.map((it) => (
              <Tabs.Trigger
                key={it}
                value={it}
                className="min-h-11 rounded-lg px-1 text-sm font-semibold text-soft hover:text-ink data-[state=active]:bg-surface data-[state=active]:text-ink data-[state=active]:shadow-sm sm:text-base"
                data-testid={`way-${it}`}
              >
                {t(`account.way.${it}`)}
              </Tabs.Trigger>
            ))}
          </Tabs.List>
          {main ? (
            <p className="mb-4 text-sm text-soft">{t("account.replaces", { name: main.nickname })}</p>
          ) : null}
          <Tabs.Content value="guest">
            <EnterAsGuest hint={t("account.guestHint")} enter={enter} />
          </Tabs.Content>
          <Tabs.Content value="signIn">
            <SignIn />
          </Tabs.Content>
          <Tabs.Content value="create">
            <CreateAccount />
          </Tabs.Content>
        </Tabs.Root>
      </section>
    </div>
  );
}

/** Why one stands before the door again. */
function SignedOut({ code }: { code: string }) {
  const { t } = useTranslation();
  return (
    <div
      role="alert"
      className="rounded-2xl bg-warn-ground px-5 py-4 text-warn-ink"
      data-testid="signed-out"
      data-code={code}
    >
      <p className="font-semibold">{t("account.signedOut.title")}</p>
      <p>{t(`account.signedOut.${code === "token_reused" ? "reused" : "ended"}`)}</p>
    </div>
  );
}

function Welcome() {
  const { t } = useTranslation();
  const points = [
    ...(isOn("video") ? [{ icon: Video, text: t("enter.pointCalls") }] : []),
    ...(isOn("matching") ? [{ icon: Shuffle, text: t("enter.pointMatch") }] : []),
    { icon: MessageSquare, text: t("enter.pointChat") },
    { icon: UserRoundX, text: t("enter.pointAnonymous") },
  ];
  return (
    <div className="lg:pt-8">
      <h1 className="text-4xl font-bold tracking-tight sm:text-5xl">{t("app.tagline")}</h1>
      <ul className="mt-6 hidden gap-3 text-lg text-soft sm:grid">
        {points.map(({ icon: Icon, text }) => (
          <li key={text} className="flex items-center gap-3">
            <Icon aria-hidden className="size-6 shrink-0 text-accent" />
            {text}
          </li>
        ))}
      </ul>
    </div>
  );
}
