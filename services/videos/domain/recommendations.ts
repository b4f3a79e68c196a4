/** Which videos are shown beside one, and why. */

/** As much of a video as the choice is made by. */
export interface Candidate {
  readonly id: string;
  readonly tags: readonly string[];
  readonly owner: string | null;
  readonly views: number;
}

/** Tags that both have, the same owner, many viewers, or nothing but its age. */
export type Reason = { readonly kind: "tags"; readonly tags: readonly string[] } | { readonly kind: "owner" | "popular" | "new" };

/** A tag in common says more than an owner in common, and a thousand times the viewers less than either. */
const WEIGHT = { tag: 2, owner: 1.5, views: 0.25 };

/** The best `limit` of the candidates, each once; those that are as good in the order in which they were given. */
export function recommend(
  seed: Candidate,
  candidates: readonly Candidate[],
  limit: number,
): readonly { readonly id: string; readonly reason: Reason }[] {
  const others = [...new Map(candidates.filter(({ id }) => id !== seed.id).map((each) => [each.id, each])).values()];
  const scored = others.map((each) => ({ id: each.id, score: scoreOf(seed, each), reason: reasonOf(seed, each) }));
  return scored
    .toSorted((a, b) => b.score - a.score)
    .slice(0, limit)
    .map(({ id, reason }) => ({ id, reason }));
}

function scoreOf(seed: Candidate, each: Candidate): number {
  return (
    WEIGHT.tag * sharedTags(seed, each).length + WEIGHT.owner * Number(hasSameOwner(seed, each)) + WEIGHT.views * Math.log10(1 + each.views)
  );
}

function reasonOf(seed: Candidate, each: Candidate): Reason {
  const tags = sharedTags(seed, each);
  if (tags.length > 0) return { kind: "tags", tags };
  if (hasSameOwner(seed, each)) return { kind: "owner" };
  return { kind: each.views > 0 ? "popular" : "new" };
}

function sharedTags(seed: Candidate, { tags }: Candidate): string[] {
  return tags.filter((tag) => seed.tags.includes(tag));
}

function hasSameOwner(seed: Candidate, { owner }: Candidate): boolean {
  return owner !== null && owner === seed.owner;
}
