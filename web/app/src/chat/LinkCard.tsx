import { lookAt, type Message } from "@parlor/sdk";
import { useQuery } from "@tanstack/react-query";
import { Link2 } from "lucide-react";
import { parlor } from "../session.tsx";
import { linkIn } from "./text.ts";
import { useChat } from "./view.ts";

/**
 * What the first address of a message leads to, as the server saw it: the page itself asks nobody, and shows no picture that it
 * would have to ask for.
 */
export function LinkCard({ message: { content } }: { message: Message }) {
  const { showsLinks } = useChat();
  const href = showsLinks ? linkIn(content.text) : null;
  const { data } = useQuery({
    queryKey: ["preview", href],
    queryFn: () => lookAt(parlor.api, href ?? ""),
    enabled: href !== null,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 600_000,
    retry: false,
  });
  if (!href || !data) return null;
  return (
    <a
      href={href}
      target="_blank"
      rel="noreferrer noopener nofollow ugc"
      className="mt-1 flex w-full max-w-md gap-3 rounded-xl border border-line border-l-4 border-l-accent bg-surface p-3 hover:bg-sunken/60"
      data-testid="link-card"
    >
      <Link2 aria-hidden className="mt-0.5 size-5 shrink-0 text-accent" />
      <span className="min-w-0 flex-1">
        <span className="block truncate text-xs text-soft">{data.siteName || new URL(href).hostname}</span>
        <span className="line-clamp-2 font-semibold wrap-anywhere">{data.title}</span>
        {data.description ? (
          <span className="line-clamp-2 text-sm text-soft wrap-anywhere">{data.description}</span>
        ) : null}
      </span>
    </a>
  );
}
