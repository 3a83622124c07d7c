/* diagws-clinic demo: fills an empty file with a clinic that never was: 40 patients, 60 diagnoses of 6 conditions, 12
 * herbs, and half a year of feedback. The same seed and --now make the same clinic.
 *
 * A herb helps against a condition to some degree, which some lose and some gain in the last month; feedback is drawn
 * from that. Diagnosis 101 is made so that its first two recommendations are close, and the second one overtakes the
 * first after a few good words on it. What that would have pushed is not pushed: there is nobody yet who watches.
 * Everything is one commit.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/progress.h"
#include "sql/db.h"
#include "verbs.h"

enum {
	PATIENTS = 40,
	DIAGNOSES = 60,
	FIRST_DIAGNOSIS = 101,
	CONDITIONS = 6,
	HERBS = 12,
	MIZAJ = 5,
	SYMPTOMS = 4,
	MONTHS = 180, /* days */
};

static const char *const mizaj[MIZAJ] = { "گرم و تر", "گرم و خشک", "سرد و تر", "سرد و خشک", "معتدل" };
static const char *const herbs[HERBS] = { "زعفران", "Chamomile", "اسطوخودوس", "Ginger", "گل گاوزبان", "Valerian",
	"نعناع", "Turmeric", "آویشن", "Frankincense", "شیرین‌بیان", "Fennel" };
static const struct {
	const char *name, *symptoms[SYMPTOMS];
} conditions[CONDITIONS] = {
	{ "میگرن", { "سردرد", "تهوع", "حساسیت به نور", "سرگیجه" } },
	{ "Insomnia", { "restless sleep", "fatigue", "waking early", "racing thoughts" } },
	{ "سوء هاضمه", { "نفخ", "دل‌درد", "سوزش معده", "تهوع" } },
	{ "Joint pain", { "stiffness", "swelling", "knee pain", "back pain" } },
	{ "سرفه", { "سرفه خشک", "گلودرد", "تنگی نفس", "خلط" } },
	{ "Anxiety", { "palpitations", "restless sleep", "racing thoughts", "tension" } },
};
static const char *const first_names[] = { "مریم", "John", "علی", "Sarah", "زهرا", "Michael", "رضا", "Emma", "فاطمه",
	"David", "حسین", "Laura", "نرگس" };
static const char *const last_names[] = { "احمدی", "Miller", "حسینی", "Brown", "کریمی", "Taylor", "رضایی", "Wilson",
	"موسوی", "Clark", "جعفری" };
static const char *const side_effects[] = { "nausea", "خواب‌آلودگی", "dry mouth", "سردرد", "heartburn",
	"nausea, dry mouth", "drowsiness" };
static const char *const good_words[] = { "خیلی بهتر شدم", "Slept through for the first time in weeks",
	"دردم کمتر شده است", "Noticeably better after ten days", "ممنون، مؤثر بود" };
static const char *const bad_words[] = { "تأثیری نداشت", "No change so far", "طعمش را دوست نداشتم",
	"Felt worse in the second week" };

#define PICK(list) (list)[draw(sizeof(list) / sizeof((list)[0]))]

static struct {
	struct db *db;
	int64_t now;
	uint64_t random;
	double helps[HERBS][CONDITIONS], drift[HERBS];
	int64_t recommendations; /* so many there are */
	struct dw_progress progress;
} demo;

/* splitmix64 (Steele, Lea, Flood 2014): the same everywhere for the same seed. */
static uint64_t
draw(uint64_t below)
{
	uint64_t z = demo.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

static double
draw_share(void)
{
	return (double)draw(1000000) / 1000000;
}

static int
condition_of(int diagnosis)
{
	return diagnosis % CONDITIONS;
}

/* A patient's second diagnosis, if there is one, is of another condition. */
static int64_t
patient_of(int diagnosis)
{
	return diagnosis % PATIENTS + 1;
}

static void
name_diagnosis(int diagnosis, char out[16])
{
	(void)snprintf(out, 16, "%d", FIRST_DIAGNOSIS + diagnosis);
}

/* ---- what the clinic has ---- */

static int
add_patients(struct dw_fault *fault)
{
	char name[128];
	int err = DW_OK;

	for (int64_t i = 0; err == DW_OK && i < PATIENTS; i++) {
		/* Persian names with Persian ones: both lists alternate. */
		const size_t first = (size_t)i % (sizeof(first_names) / sizeof(first_names[0]));
		const size_t last = (first % 2 + 2 * draw(5)) % (sizeof(last_names) / sizeof(last_names[0]));

		(void)snprintf(name, sizeof(name), "%s %s", first_names[first], last_names[last]);
		err = db_run(
			demo.db, fault, sql_store_patients, "issi", i + 1, name, mizaj[draw(MIZAJ)], (int64_t)(18 + draw(60)));
	}
	return err;
}

static int
add_herbs(struct dw_fault *fault)
{
	int err = DW_OK;

	for (size_t herb = 0; herb < HERBS; herb++) {
		demo.drift[herb] = herb % 4 == 1 ? 0.45 : herb % 4 == 2 ? -0.45 : 0;
		for (size_t condition = 0; err == DW_OK && condition < CONDITIONS; condition++) {
			demo.helps[herb][condition] = 0.2 + 0.7 * draw_share();
			for (size_t i = 0; err == DW_OK && i < SYMPTOMS; i++)
				if (draw(3) > 0)
					err = db_run(demo.db, fault, sql_store_herb_symptoms, "ssd", herbs[herb],
						conditions[condition].symptoms[i], (double)(30 + draw(50)) / 100);
		}
	}
	return err;
}

static int
add_diagnosis(int diagnosis, struct dw_fault *fault)
{
	const int condition = condition_of(diagnosis);
	const char *const *symptoms = conditions[condition].symptoms;
	const int64_t created = demo.now - MONTHS * (int64_t)DAY - (int64_t)draw(30 * DAY);
	char id[16], list[256];

	name_diagnosis(diagnosis, id);
	(void)snprintf(list, sizeof(list), diagnosis == 0 || draw(2) > 0 ? "[\"%s\",\"%s\",\"%s\"]" : "[\"%s\",\"%s\"]",
		symptoms[0], symptoms[1], symptoms[2 + draw(2)]);
	return db_run(demo.db, fault, sql_store_diagnoses, "sissii", id, patient_of(diagnosis), conditions[condition].name,
		list, created, demo.now);
}

/* ---- what its patients say ---- */

static int
add_feedback(int64_t recommendation, int giver, int64_t created, bool is_good, struct dw_fault *fault)
{
	const int64_t rating = is_good ? 3 + (int64_t)draw(3) : 1 + (int64_t)draw(3);
	const int64_t improvement = is_good ? 3 + (int64_t)draw(3) : 1 + (int64_t)draw(2);
	const char *effects = draw(8) == 0 ? PICK(side_effects) : NULL;
	const char *comment = draw(6) > 0 ? NULL : is_good ? PICK(good_words) : PICK(bad_words);
	char id[16];

	name_diagnosis(giver, id);
	return db_run(demo.db, fault, sql_store_feedback, "nsiiiissiiii", id, recommendation, rating, improvement,
		(int64_t)(2 + draw(4)), effects, comment, created, created, (int64_t)1, demo.now);
}

/* How likely it helped then: what a herb gains or loses in the last month, others had before. */
static double
chance(int64_t herb, int condition, int64_t age)
{
	const double base = demo.helps[herb][condition];

	return age <= 30 * DAY ? base + demo.drift[herb] : base;
}

/* Of all who have the condition, some have tried it: most of them where it stands first. */
static int
add_voices(int64_t recommendation, int64_t herb, int diagnosis, int rank, struct dw_fault *fault)
{
	const int condition = condition_of(diagnosis);
	int err = DW_OK;

	for (int giver = condition; err == DW_OK && giver < DIAGNOSES; giver += CONDITIONS) {
		const double u = draw_share();
		const int64_t age = (int64_t)(u * (0.4 + 0.6 * u) * MONTHS * DAY);
		const bool is_good = draw_share() < chance(herb, condition, age);

		if (draw(100) < (rank < 2 ? 85 : 40))
			err = add_feedback(recommendation, giver, demo.now - age, is_good, fault);
	}
	return err;
}

/* Of diagnosis 101 the first has 4 good voices of 5, the second 3 of 5, the others 1 of 3. */
static int
add_close_voices(int64_t recommendation, int rank, struct dw_fault *fault)
{
	const int voices = rank < 2 ? 5 : 3, good = rank == 0 ? 4 : rank == 1 ? 3 : 1;
	int err = DW_OK;

	for (int i = 0; err == DW_OK && i < voices; i++)
		err = add_feedback(
			recommendation, (i + 1) * CONDITIONS, demo.now - (75 - 12 * (int64_t)i) * DAY - 3600, i < good, fault);
	return err;
}

static int
add_recommendations(int diagnosis, struct dw_fault *fault)
{
	static const char *const dosages[2][3] = { { "یک قاشق چای‌خوری", "۵ قطره", "یک فنجان دمنوش" },
		{ "1 g", "300 mg", "2 cups of tea" } };
	static const char *const frequencies[2][3] = { { "روزی سه بار", "هر صبح", "پیش از خواب" },
		{ "twice a day", "every morning", "at bedtime" } };
	static const char *const durations[2] = { "۲۸ روز", "4 weeks" };
	const int language = condition_of(diagnosis) % 2;
	const int count = 3 + (int)draw(4);
	const int64_t first = (int64_t)draw(HERBS);
	char id[16];
	int err = DW_OK;

	name_diagnosis(diagnosis, id);
	for (int rank = 0; err == DW_OK && rank < count; rank++) {
		const int64_t herb = (first + rank * 5) % HERBS; /* 5 and 12 have no divisor in common: all are others */
		const int64_t recommendation = ++demo.recommendations;
		const double predicted = demo.helps[herb][condition_of(diagnosis)] * 0.6 + 0.25;

		err = db_run(demo.db, fault, sql_store_recommendations, "isssss", recommendation, id, herbs[herb],
			PICK(dosages[language]), PICK(frequencies[language]), durations[language]);
		if (err == DW_OK)
			err = db_run(demo.db, fault, sql_demo_forecast, "idi", recommendation,
				(double)(int)(predicted * 1000) / 1000, demo.now - MONTHS * (int64_t)DAY);
		if (err == DW_OK)
			err = diagnosis == 0 ? add_close_voices(recommendation, rank, fault)
								 : add_voices(recommendation, herb, diagnosis, rank, fault);
	}
	return err;
}

/* ---- what follows from it ---- */

static int
rank_all(struct dw_fault *fault)
{
	char id[16];
	int err;

	name_diagnosis(0, id);
	err = rank_diagnosis(demo.db, dw_str(id), demo.now, fault);
	if (err == DW_OK)
		err = db_run(demo.db, fault, sql_demo_bring_near, "s", id);
	if (err == DW_OK)
		err = db_run(demo.db, fault, sql_demo_forget_rankings, "");
	for (int diagnosis = 0; err == DW_OK && diagnosis < DIAGNOSES; diagnosis++) {
		name_diagnosis(diagnosis, id);
		err = rank_diagnosis(demo.db, dw_str(id), demo.now, fault);
	}
	return err;
}

static int
fill(struct dw_fault *fault)
{
	int64_t empty = 0;
	int err = db_number(demo.db, &empty, NULL, fault, sql_demo_is_empty, "");

	if (err == DW_OK && empty == 0)
		return dw_fault_set(fault, DW_E_CREATE, NULL, "an empty file", "%s: it is somebody's clinic already, not empty",
			clinic_options.db);
	if (err == DW_OK)
		err = add_patients(fault);
	if (err == DW_OK)
		err = add_herbs(fault);
	for (int diagnosis = 0; err == DW_OK && diagnosis < DIAGNOSES; diagnosis++)
		err = add_diagnosis(diagnosis, fault);
	for (int diagnosis = 0; err == DW_OK && diagnosis < DIAGNOSES; diagnosis++)
		err = add_recommendations(diagnosis, fault);
	dw_progress_begin(&demo.progress, (uint64_t)demo.recommendations, -1);
	for (int64_t i = 1; err == DW_OK && i <= demo.recommendations; i++) {
		err = compute_recommendation(demo.db, i, demo.now, NULL, fault);
		dw_progress_tell(&demo.progress, (uint64_t)i, 0);
	}
	dw_progress_hide(&demo.progress);
	if (err == DW_OK)
		err = rank_all(fault);
	return err == DW_OK ? db_run(demo.db, fault, sql_demo_empty_outbox, "") : err;
}

int
verb_demo(int count, char **operands)
{
	struct dw_fault fault = { 0 };
	struct order order;
	int err, status;

	if (count > 0)
		return dw_err_exit(dw_opt_misuse(&clinic_command, "'%s' is one operand too many", operands[0]));
	if (!verb_order(&order))
		return dw_err_exit(DW_E_USAGE);
	status = verb_open(&demo.db);
	if (status != 0)
		return status;
	demo.now = order.now;
	demo.random = (uint64_t)clinic_options.seed;
	err = db_begin(demo.db, &fault);
	if (err == DW_OK)
		err = fill(&fault);
	if (err == DW_OK)
		err = db_commit(demo.db, &fault);
	db_rollback(demo.db);
	if (err != DW_OK)
		status = verb_fail(err, &fault);
	else if (!dw_common.quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "%d patients, %d diagnoses from %d on, %lld recommendations\n", PATIENTS, DIAGNOSES,
			FIRST_DIAGNOSIS, (long long)demo.recommendations);
	db_close(&demo.db);
	return status;
}
