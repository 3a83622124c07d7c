/* hub */
/* libs: msgpack jansson libcrypto */
#include <stdio.h>
#include "../lib/hub_kit.h"
int main(void){
 char name[16]; static uint64_t seq;
 if(!kit_start(NULL)) return 1; kit_hello(1,DW_PEER_CLIENT); kit_turn();
 for(unsigned i=0;i<100000;i++){ struct dw_record r={.seq=++seq,.n=1,.at=dw_now_ms(),.type=DW_STR("a_update")}; snprintf(name,16,"r%u",(i*7919)%100003); dw_room_append(room_get(&hub,dw_str(name)),&r,DW_STR(""),r.at);} 
 const struct {const char*v,*s; uint64_t l;} c[]={{"rooms","",100000},{"rooms","diagnosis_id",100},{"rooms","head",100000},{"rooms","diagnosis_id",100000},{"queues","queued",100000}};
 for(int k=0;k<5;k++){ uint64_t most=0,all=0,last=0; int turns=0; bool more; kit_stat(1,1,c[k].v,"",c[k].s,c[k].l);
  do{ uint64_t t=dw_mono_us(); more=scans_turn(&hub); t=dw_mono_us()-t; all+=t; last=t; turns++; if(t>most)most=t;}while(more); outbox_flush(&hub);
  printf("%s by %s limit %lu: %d turns, longest %lu us, last %lu us, all %lu us\n",c[k].v,c[k].s,(unsigned long)c[k].l,turns,(unsigned long)most,(unsigned long)last,(unsigned long)all);}
 uint64_t t=dw_mono_us(); for(int i=0;i<1000;i++){kit_stat(1,1,"summary","","",1);outbox_flush(&hub);} printf("summary %.2f us\n",(double)(dw_mono_us()-t)/1000);
}
