import type { DirectFrom } from "@parlor/sdk";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { sentence } from "../errors.ts";
import { Choice } from "../hub/fields.tsx";
import { parlor } from "../session.tsx";
import { Alert } from "../ui.tsx";

const FROM = ["everyone", "sharesRoom", "nobody"] as const satisfies DirectFrom[];
const KEY = ["direct-from"];

/** From whom one takes direct messages. */
export function TakenFrom() {
  const { t } = useTranslation();
  const queries = useQueryClient();
  const { data } = useQuery({ queryKey: KEY, queryFn: () => parlor.direct.takenFrom() });
  const take = useMutation({
    mutationFn: (from: DirectFrom) => parlor.direct.takeFrom(from),
    onMutate: (from) => queries.setQueryData(KEY, from),
    onError: () => queries.invalidateQueries({ queryKey: KEY }),
  });
  if (!data) return null;
  return (
    <section aria-label={t("direct.settings")} className="mt-8 max-w-md border-t border-line pt-5">
      <Choice
        label={t("direct.takenFrom")}
        hint={t(`direct.takenHint.${data}`)}
        value={data}
        options={FROM.map((from) => [from, t(`direct.from.${from}`)] as const)}
        onChange={(from) => take.mutate(from)}
        testId="taken-from"
      />
      {take.error ? <Alert>{sentence(take.error)}</Alert> : null}
    </section>
  );
}
