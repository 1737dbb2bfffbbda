import { Check, LogOut, Settings, UserRoundCheck } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useSession } from "../session.tsx";
import { MENU, MENU_ITEM } from "../ui.tsx";
import { Avatar, StatusDot } from "./Avatar.tsx";
import { useMe, usePresence, useShowAs, useTrust } from "./me.ts";
import { UpgradeDialog } from "./UpgradeDialog.tsx";
import { trustText } from "./words.ts";

export const STATUSES = ["online", "away", "busy", "invisible"] as const;

interface AccountMenuProps {
  /** With the name beside the picture on every page width; without one, the picture alone on a narrow page. */
  wide?: boolean;
  /** Nothing in it leads away: in a call one would lose it. */
  staying?: boolean;
}

/** Who one is here, and what one can do about it. */
export function AccountMenu({ wide = false, staying = false }: AccountMenuProps) {
  const { t } = useTranslation();
  const { status, user, leave } = useSession();
  const presence = usePresence();
  const me = useMe();
  const [upgrading, setUpgrading] = useState(false);
  if (status !== "in" || !user) return null;
  const shown = presence?.wish?.status ?? "online";
  return (
    <>
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger asChild>
          <button
            type="button"
            aria-label={t("account.menu", { name: user.nickname })}
            className="flex min-h-11 items-center gap-2 rounded-full py-1 pr-1 pl-1 hover:bg-sunken sm:pr-3"
            data-testid="account-menu"
          >
            <Avatar name={user.nickname} status={shown} />
            <span className={`max-w-32 truncate font-medium ${wide ? "" : "hidden sm:inline"}`}>
              {user.nickname}
            </span>
          </button>
        </DropdownMenu.Trigger>
        <DropdownMenu.Content
          align="end"
          sideOffset={4}
          collisionPadding={8}
          className={`${MENU} max-h-(--radix-dropdown-menu-content-available-height) w-72 max-w-[calc(100vw-1rem)] overflow-y-auto`}
        >
          <Head />
          <DropdownMenu.Separator className="my-1 h-px bg-line" />
          <Statuses shown={shown} />
          <DropdownMenu.Separator className="my-1 h-px bg-line" />
          {me && !me.account ? (
            <DropdownMenu.Item
              className={`${MENU_ITEM} gap-3`}
              onSelect={() => setUpgrading(true)}
              data-testid="upgrade"
            >
              <UserRoundCheck aria-hidden className="size-5 text-accent" />
              {t("account.upgrade")}
            </DropdownMenu.Item>
          ) : null}
          {staying ? null : (
            <>
              <DropdownMenu.Item className={`${MENU_ITEM} gap-3`} asChild>
                <Link to="/settings" data-testid="go-settings">
                  <Settings aria-hidden className="size-5 text-soft" />
                  {t("account.settings")}
                </Link>
              </DropdownMenu.Item>
              <DropdownMenu.Item
                className={`${MENU_ITEM} gap-3`}
                onSelect={() => void leave()}
                data-testid="sign-out"
              >
                <LogOut aria-hidden className="size-5 text-soft" />
                {t("account.signOut")}
              </DropdownMenu.Item>
            </>
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Root>
      {upgrading ? <UpgradeDialog onClose={() => setUpgrading(false)} /> : null}
    </>
  );
}

/** Name, what one is here, and how far one is trusted. */
function Head() {
  const { t, i18n } = useTranslation();
  const { user } = useSession();
  const me = useMe();
  const trust = useTrust();
  if (!user) return null;
  const kind = user.role !== "member" ? user.role : me?.account ? "member" : "guest";
  return (
    <div className="flex items-start gap-3 p-3">
      <Avatar name={user.nickname} />
      <div className="min-w-0">
        <p className="truncate font-semibold">{user.nickname}</p>
        <p className="text-sm text-soft">{t(`account.${kind}`)}</p>
        {trust ? (
          <p className="mt-2 text-sm text-soft" data-testid="trust" data-level={trust.level}>
            <strong className="font-semibold text-ink">{t(`account.trust.${trust.level}`)}</strong>
            <br />
            {trustText(t, trust, i18n.language)}
          </p>
        ) : null}
      </div>
    </div>
  );
}

function Statuses({ shown }: { shown: (typeof STATUSES)[number] }) {
  const { t } = useTranslation();
  const showAs = useShowAs();
  return (
    <DropdownMenu.RadioGroup value={shown}>
      <DropdownMenu.Label className="px-3 pt-1 text-sm text-soft">{t("account.shownAs")}</DropdownMenu.Label>
      {STATUSES.map((status) => (
        <DropdownMenu.RadioItem
          key={status}
          value={status}
          className={`${MENU_ITEM} justify-between`}
          onSelect={() => void showAs(status).catch(() => undefined)}
          data-testid={`status-${status}`}
        >
          <span className="flex items-center gap-3">
            <StatusDot status={status} />
            {t(`account.status.${status}`)}
          </span>
          <DropdownMenu.ItemIndicator>
            <Check aria-hidden className="size-5 text-accent" />
          </DropdownMenu.ItemIndicator>
        </DropdownMenu.RadioItem>
      ))}
    </DropdownMenu.RadioGroup>
  );
}
