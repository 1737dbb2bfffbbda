import type { Message } from "@parlor/sdk";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Avatar } from "./Avatar.tsx";
import { brief } from "./Quote.tsx";
import { whenOf } from "./when.ts";

interface CardProps {
  message: Message;
  /** In the place of its own words. */
  text?: ReactNode;
  /** Where it stands, if that is somewhere else. */
  place?: string | undefined;
  foot?: ReactNode;
  onOpen: () => void;
  testId: string;
}

/** A message in a list of some: who, when, what, and the way to it. */
export function Card({ message, text, place, foot, onOpen, testId }: CardProps) {
  const { t, i18n } = useTranslation();
  const { sender, createdAt } = message;
  return (
    <li>
      <button
        type="button"
        onClick={onOpen}
        className="flex w-full gap-3 rounded-xl border border-line bg-surface p-3 text-left hover:border-accent hover:bg-sunken/60"
        data-testid={testId}
      >
        <Avatar id={sender.id} name={sender.nickname} />
        <span className="min-w-0 flex-1">
          <span className="flex items-baseline gap-2">
            <span className="truncate font-semibold">{sender.nickname}</span>
            <time dateTime={createdAt} className="shrink-0 text-xs text-soft">
              {whenOf(createdAt, i18n.language)}
            </time>
          </span>
          {place ? <span className="block truncate text-xs text-soft">{place}</span> : null}
          <span className="line-clamp-4 whitespace-pre-wrap wrap-anywhere">
            {text ?? brief(message, t("chat.quoteFile"))}
          </span>
          {foot}
        </span>
      </button>
    </li>
  );
}
