// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which operation diff_io does next: a random walk over the device that
 * follows from the seed alone.
 */
#include "diff_io.h"

/* What is done, and how; the latter depends on when things end. */
static uint64_t plan_state, detail_state;

static uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dull;
}

static uint64_t rnd(uint64_t below)
{
	return xorshift(&plan_state) % below;
}

uint64_t detail(uint64_t below)
{
	return xorshift(&detail_state) % below;
}

static bool percent(unsigned int n)
{
	return rnd(100) < n;
}

/* The smallest range that is a cluster, or several, and can be asked for. */
static uint32_t whole(void)
{
	return MAX(opt.cluster, opt.block);
}

/*
 * What the lengths are multiples of: a cluster, but of the large ones mostly
 * a part and of the small ones often several, lest all I/O be large or small.
 */
static uint32_t length_unit(void)
{
	if (opt.cluster > DEFAULT_CLUSTER)
		return rnd(4) ? DEFAULT_CLUSTER : opt.cluster;
	if (opt.cluster < DEFAULT_CLUSTER / 4)
		return rnd(2) ? DEFAULT_CLUSTER / 4 : whole();
	return whole();
}

/* Small and medium ones mostly; now and then as long as they get. */
static uint32_t any_length(void)
{
	uint32_t unit;

	switch (rnd(16)) {
	case 0 ... 5:
		return opt.block * (1 + rnd(8));
	case 6 ... 9:
		return PAGE * (1 + rnd(15));
	case 10:
		unit = length_unit();
		return opt.block * (1 + rnd(unit / opt.block));
	case 11:
	case 12:
		unit = length_unit();
		return unit * (1 + rnd(4));
	case 13:
		unit = length_unit();
		return unit * (1 + rnd(3)) + opt.block * (1 + rnd(8));
	case 14:
		unit = length_unit();
		return opt.block * (1 + rnd(8 * unit / opt.block));
	default:
		unit = length_unit();
		return rnd(4) ? unit * (1 + rnd(8)) :
				opt.block * (1 + rnd(MAX_IO / opt.block));
	}
}

/**
 * struct cursor - where the random walk is
 * @sequential: end of the sequential run
 * @run: operations that are still to follow in it, one right after the other
 * @hot: the cluster that gets many small operations; of the smallest ones as
 *	many as fill the pieces
 * @piece: it is cut into such pieces
 * @order: these, in the order in which they get them
 * @left: how many of them are left
 * @last: end of the last operation
 * @spots: places that are visited again and again
 */
struct cursor {
	uint64_t sequential;
	unsigned int run;
	uint64_t hot;
	uint32_t piece;
	uint8_t order[16];
	unsigned int left;
	uint64_t last;
	uint64_t spots[4];
};

static struct cursor cursor;

static uint64_t any_block(void)
{
	return rnd(model.size / opt.block) * opt.block;
}

static uint64_t cluster_up(uint64_t bytes)
{
	return (bytes + opt.cluster - 1) / opt.cluster * opt.cluster;
}

/* Small operations one after the other in one cluster, none on another. */
static void hot_begin(void)
{
	unsigned int i, j;

	cursor.piece = MAX(opt.cluster / (uint32_t)ARRAY_SIZE(cursor.order),
			   opt.block);
	cursor.hot = rnd(cluster_up(model.size) / opt.cluster) * opt.cluster;
	cursor.hot -= cursor.hot % opt.block;
	for (i = 0; i < ARRAY_SIZE(cursor.order); i++) {
		j = rnd(i + 1);
		cursor.order[i] = cursor.order[j];
		cursor.order[j] = i;
	}
	cursor.left = 4 + rnd(ARRAY_SIZE(cursor.order) - 3);
}

static void hot_next(uint64_t *off, uint32_t *len)
{
	uint32_t blocks = cursor.piece / opt.block, first = rnd(blocks);

	*off = cursor.hot + cursor.order[--cursor.left] * cursor.piece +
	       first * opt.block;
	*len = opt.block * (1 + rnd(MIN(blocks - first, PAGE / SECTOR)));
}

/* Side by side in the queue they may be merged into one request. */
static void sequential_next(uint64_t *off, uint32_t *len)
{
	if (!rnd(16) || cursor.sequential >= model.size)
		cursor.sequential = any_block();
	*off = cursor.sequential;
	cursor.sequential += *len;
}

static void pick_range(uint64_t *off, uint32_t *len)
{
	uint64_t boundary = rnd(cluster_up(model.size) / opt.cluster + 1) *
			    opt.cluster;
	uint32_t before;

	boundary -= boundary % opt.block;
	*len = any_length();
	*len = MIN(*len, MAX_IO);
	if (cursor.left) {
		hot_next(off, len);
		return;
	}
	if (cursor.run) {
		cursor.run--;
		sequential_next(off, len);
		return;
	}
	switch (rnd(20)) {
	case 0 ... 1:
		hot_begin();
		hot_next(off, len);
		break;
	case 2 ... 3:
		cursor.run = rnd(8);
		sequential_next(off, len);
		break;
	case 4 ... 8:		/* across a cluster's edge, or up to it */
		before = rnd(8 + 1) * opt.block;
		*off = boundary > before ? boundary - before : 0;
		break;
	case 9 ... 11:		/* whole clusters */
		*off = boundary;
		*len = MIN(cluster_up(*len), MAX_IO);
		break;
	case 12 ... 13:		/* the neighbour */
		*off = cluster_up(cursor.last);
		if (!rnd(2))
			*off += rnd(opt.cluster / SECTOR) * SECTOR;
		*off -= *off % opt.block;
		break;
	case 14 ... 15:
		*off = cursor.spots[rnd(ARRAY_SIZE(cursor.spots))] +
		       rnd(16) * opt.block;
		break;
	case 16:		/* the very end */
		*off = model.size - MIN((uint64_t)*len, model.size);
		break;
	default:
		*off = any_block();
		break;
	}
	if (!rnd(32))
		cursor.spots[rnd(ARRAY_SIZE(cursor.spots))] = any_block();
}

static unsigned int pick_zero(void)
{
	/* Of those who could zero, half discard. */
	switch (rnd(opt.discard ? 6 : 3)) {
	case 0:
		return OP_ZEROOUT;
	case 1:
		return opt.can_punch ? OP_PUNCH : OP_ZEROOUT;
	case 2:
		return OP_ZERO_RANGE;
	default:
		return OP_DISCARD;
	}
}

static unsigned int pick_kind(void)
{
	if (opt.read_only)
		return OP_READ;
	if (cursor.left ? percent(80) : percent(55))
		return percent(8) ? OP_WRITE_DSYNC : OP_WRITE;
	if (percent(55))
		return OP_READ;
	if (percent(15))
		return OP_FLUSH;
	return opt.no_zero ? OP_WRITE : pick_zero();
}

/*
 * What a discard of a part of a cluster leaves there is nobody's promise, and
 * the last cluster, if the device has only a part of it, is not whole either.
 * Returns false if there is no whole one.
 */
static bool widen_discard(uint64_t *off, uint32_t *len)
{
	uint32_t unit = whole();
	uint64_t size = model.size - model.size % unit;

	if (!size)
		return false;
	*off = MIN(*off, size - 1);
	*len += *off % unit;
	*off -= *off % unit;
	*len = (*len + unit - 1) / unit * unit;
	*len = MIN(*len, size - *off);
	return true;
}

/* Choose the next operation and add it to the model's. */
void plan_next(void)
{
	uint64_t off;
	uint32_t len;
	unsigned int kind = pick_kind();

	pick_range(&off, &len);
	if (off >= model.size)
		off = model.size - opt.block;
	if (kind == OP_DISCARD && !widen_discard(&off, &len))
		kind = OP_ZEROOUT;
	/* Half of those who zero do it to whole clusters. */
	if (op_is_zero(kind) && kind != OP_DISCARD && percent(50)) {
		off -= off % whole();
		len = (len + whole() - 1) / whole() * whole();
	}
	len = MIN(len, model.size - off);
	if (percent(opt.buffered) && (kind == OP_READ || kind == OP_WRITE)) {
		kind = kind == OP_READ ? OP_BUF_READ : OP_BUF_WRITE;
		off += rnd(SECTOR);
		len -= rnd(SECTOR);
		len = MIN(len, model.size - off);
	}
	if (kind == OP_FLUSH)
		off = len = 0;
	else
		cursor.last = off + len;
	model_add(&model, kind, off, len);
}

void plan_begin(void)
{
	unsigned int i;

	plan_state = (model.seed + 1ull) * 0x9e3779b97f4a7c15ull;
	detail_state = ~plan_state;
	for (i = 0; i < ARRAY_SIZE(cursor.spots); i++)
		cursor.spots[i] = any_block();
}
