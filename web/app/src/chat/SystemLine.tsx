import type { Message } from "@parlor/sdk";
import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import { useChat } from "./view.ts";
import { clockOf } from "./when.ts";

/** What happened, as a line of the log; what this page does not know is told by its own words. */
export function SystemLine({ message }: { message: Message }) {
  const { t, i18n } = useTranslation();
  const { jump } = useChat();
  const told = message.content.system as Told | undefined;
  const words = told ? sentenceOf(t, told, message.sender.nickname) : null;
  const { messageId } = told ?? {};
  return (
    <p className="px-12 py-1 text-center text-sm text-soft wrap-anywhere" data-testid="system">
      {messageId && words ? (
        <button type="button" className="hover:underline" onClick={() => jump(messageId)}>
          {words}
        </button>
      ) : (
        (words ?? message.content.text)
      )}
      <time dateTime={message.createdAt} className="ml-2 text-xs">
        {clockOf(message.createdAt, i18n.language)}
      </time>
    </p>
  );
}

/** The fields that system messages have, of whatever kind they are: a later server may tell of more. */
interface Told {
  kind: string;
  user?: { nickname: string };
  role?: string;
  name?: string;
  messageId?: string;
  outcome?: string;
}

const PLAIN = [
  "joined",
  "left",
  "added",
  "kicked",
  "banned",
  "ownerChanged",
  "pinned",
  "callStarted",
] as const;

/** Null: of a kind that is not known here. */
export function sentenceOf(t: TFunction<"page">, told: Told, by: string): string | null {
  const name = told.user?.nickname ?? told.name ?? "";
  const plain = PLAIN.find((kind) => kind === told.kind);
  if (plain) return t(`chat.system.${plain}`, { by, name });
  switch (told.kind) {
    case "renamed":
      return t(name ? "chat.system.renamed" : "chat.system.unnamed", { by, name });
    case "roleChanged": {
      const roles = ["member", "trusted", "moderator", "admin", "owner"] as const;
      const role = roles.find((it) => it === told.role);
      return role ? t("chat.system.roleChanged", { by, name, role: t(`chat.system.roles.${role}`) }) : null;
    }
    case "callEnded":
      return t(told.outcome === "answered" ? "chat.system.callEnded" : "chat.system.callMissed", { by });
    default:
      return null;
  }
}
