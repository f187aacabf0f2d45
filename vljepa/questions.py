"""Questions made by rule from photo captions: presence, colour, count, action and place, with candidate answers.

Several captions of one photo are witnesses: a question is asked where they agree and dropped where they do not.
Negatives of presence follow POPE's adversarial idea (Li et al., arXiv:2305.10355): an absent object is asked of photos
whose objects often come together with it, and every object has as many yes as no, so that language alone scores 50 %.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal

from vljepa.colour_names import NAMES

Kind = Literal["presence", "colour", "count", "action", "where"]
KINDS: tuple[Kind, ...] = ("presence", "colour", "count", "action", "where")


@dataclass(frozen=True)
class Question:
    """One question about photo number `photo` of the list given; `answer` is one of `candidates`.

    `kind` is one of `KINDS`, or "object" (DAQUAR's open questions). `text` never holds the answer.
    """

    photo: int
    kind: str
    text: str
    answer: str
    candidates: tuple[str, ...]


@dataclass(frozen=True)
class _Object:
    """A noun to ask about. Seeing a word of `words` (or of a descendant's) means that it is there.

    A word of `doubts` (or an ancestor's) means that it may be there, so it cannot be called absent. A word of
    `confusers` makes `words` themselves unclear ("bike" beside "motorcycle"): nothing is asked.
    """

    name: str
    parents: tuple[str, ...]
    words: tuple[str, ...]
    doubts: tuple[str, ...]
    confusers: tuple[str, ...]


# name < parents : other words that show it | words that leave it in doubt ! words that confuse
_VOCABULARY = """
person : someone, somebody, human, individual, adult, couple, crowd, family, team, player, rider, biker, cyclist,
    bicyclist, motorcyclist, skateboarder, skater, skier, snowboarder, surfer, swimmer, climber, hiker, runner, racer,
    jumper, diver, dancer, worker, athlete, spectator, onlooker, audience, friend, owner, teen, teenager, youth,
    performer, musician, singer, band, guitarist, driver, soldier, officer, police, police officer, student, tourist,
    pedestrian, goalie, catcher, pitcher, batter, referee, coach, rollerblader, wakeboarder, kayaker, rafter, boarder,
    clown, jockey, fan, teammate, opponent, photographer, vendor, cheerleader, wrestler, fighter, boxer, skydiver,
    waterskier, jogger, golfer, cook, chef, doctor, bystander, passenger, football player, baseball player, basketball
    player, soccer player, tennis player, hockey player, rock climber, parent, twin, sibling, trainer, handler,
    captain, model, artist, everyone, others, parasailer, gymnast, acrobat, firefighter, fireman, bmx rider, dirt
    biker, roller skater, footballer, toddler, santa, santa claus, teenage | hand, arm, finger, lap, who, army,
    parade, wedding, driving, shadow, silhouette, sledding, dog sled, group, pair
man < person : guy, gentleman, male, father, dad, grandfather, fisherman, policeman, fireman, businessman, cowboy,
    groom, husband, bearded man, old man, young man, santa, santa claus, grandpa, dude, salesman | son, brother, he,
    him, his, boy
woman < person : lady, female, mother, mom, grandmother, bride, wife, businesswoman, young woman, young lady, old
    woman, ballerina, grandma | girl, sister, daughter, she, her, couple
child < person : kid, toddler, infant, youngster, son, daughter, schoolchild, little one, preschooler, young child,
    small child | young man, young woman, young lady, young person, teen, teenager, youth, young, little, student,
    brother, sister, girl, boy, teenage
boy < child : son, young boy, little boy, small boy, schoolboy, teenage boy | young man, teen, teenager, brother,
    male, guy, baby, toddler, man
girl < child : daughter, young girl, little girl, small girl, schoolgirl, teenage girl | young woman, young lady,
    teen, teenager, sister, female, lady, baby, toddler, cheerleader, ballerina, woman
baby < child : infant, newborn | toddler, child, kid, small child, young child, little boy, little girl, youngster
crowd < person : audience, spectator, onlooker, crowded | people, fan, group, team, parade, many, band, family,
    bystander, lot, stadium, several, concert, festival, event
player < person : football player, baseball player, basketball player, soccer player, tennis player, hockey player,
    goalie, catcher, pitcher, batter, footballer, rugby player | team, game, match, ball, football, baseball,
    basketball, soccer, tennis, hockey, rugby, playing, athlete, uniform, jersey
animal : pet, creature, goat, elephant, bear, deer, lion, tiger, pig, rabbit, squirrel, seal, dolphin, camel, donkey,
    llama, snake, turtle, lizard, wolf, fox, zebra, giraffe, whale, frog, crab | something, fur, tail, paw, sled,
    leash, muzzle, rodeo, jockey, collar
dog < animal : puppy, doberman, poodle, collie, border collie, terrier, retriever, golden retriever, labrador, lab,
    greyhound, husky, dalmatian, pitbull, pit bull, german shepherd, shepherd, beagle, bulldog, chihuahua, dachshund,
    spaniel, hound, rottweiler, pup, corgi, mutt, poodle, boxer dog, schnauzer, doggy, great dane, mastiff, pug, black
    lab, yellow lab, hot dog costume, chocolate lab, dog race, sheepdog, setter, whippet, canine, dane, saint bernard,
    dog sled | collar, leash, fur, muzzle, furry, paw, sled ! wolf, fox
cat < animal : kitten, kitty, feline | furry
horse < animal : pony, stallion, mare, horseback, bronco, colt, foal | jockey, rodeo, cowboy, donkey, mule, carriage,
    bull, polo, saddle, equestrian
bird < animal : duck, pigeon, seagull, goose, swan, eagle, parrot, hawk, gull, dove, chicken, rooster, flamingo,
    ostrich, falcon, turkey, heron, pelican, geese, penguin, peacock, crow, owl | wing, flock, feather, nest, beak,
    flying
cow < animal : bull, cattle, calf, ox, steer, buffalo, longhorn | rodeo, livestock, herd, cowboy
sheep < animal : lamb, ram | goat, herd, livestock, flock
fish < animal : goldfish, trout, shark | fishing, aquarium, underwater
monkey < animal : ape, chimpanzee, gorilla, chimp, orangutan | primate
car : suv, sedan, convertible, taxi, cab, jeep, race car, sports car, racecar, police car, automobile, minivan, limo,
    limousine, station wagon, stock car, toy car | vehicle, traffic, driving, driver, parked, parking lot, race,
    street, road, highway, truck, parking, van, garage, intersection, city
truck : pickup, pickup truck, fire truck, dump truck, lorry, firetruck, monster truck, tow truck, semi, toy truck, van
    | vehicle, traffic, suv, jeep, car, parking, highway, construction, tractor, driving
bus : school bus, minibus, double decker, tour bus | vehicle, traffic, driver, trolley, coach, public transportation,
    street, city, tram
train : subway, subway train, subway car, tram, streetcar, locomotive, metro, railroad car, trolley | track, rail,
    station, railroad, railway, carriage, engine
airplane : plane, aeroplane, jet, aircraft, fighter jet, helicopter, glider | airport, flying, pilot, jet ski ! hang
    glider
boat : ship, sailboat, canoe, kayak, raft, rowboat, motorboat, yacht, speedboat, ferry, sail boat, dinghy, fishing
    boat, row boat, paddle boat, kayaker, kayaking, rafting, canoeing, rafter, gondola, barge, catamaran, speed boat,
    canoer | vessel, rowing, paddle, paddling, paddler, sail, sailing, dock, harbor, watercraft, waterski, water ski,
    waterskier, water skier, waterskiing, wakeboard, wakeboarder, wakeboarding, tow, towed, inflatable, tube, marina,
    pier, fishing, parasail, rapids, jet ski, towing, water skiing, innertube, pulled, port, fisherman, cruise
bicycle : bike, bicyclist, cyclist, mountain bike, mountain biker, bmx, bmx bike, bmx rider, bicycler, unicycle,
    tricycle, bicycling, mountain biking, bmx biker | biker, rider, cycle, cycling, biking, wheel, handlebar, race,
    wheelie, ramp, trike, helmet ! motorcycle, motorbike, motocross, dirt bike, motorcyclist, dirt biker, moped, motor
    bike, dirtbike, motor cycle, sport bike
motorcycle : motorbike, dirt bike, motocross, motorcyclist, dirt biker, moped, motor bike, dirtbike, motor cycle,
    motorcycle racer, sport bike, vespa, motorcycling | bike, biker, rider, cycle, racer, atv, quad, scooter, race,
    four wheeler, racing, engine, cyclist, wheelie
atv : four wheeler, quad, all terrain vehicle, quad bike, dune buggy, go kart | vehicle, rider, racer, buggy, motor,
    cart, jeep
scooter : razor scooter, push scooter, kick scooter | moped, bike, skateboard, riding, motorbike, vespa
stroller : pram, baby carriage, pushchair, buggy, baby stroller | carriage, cart, pushing
wheelchair : wheel chair | chair, disabled
skateboard : skateboarder, skateboarding, longboard, skate board, skate boarder, skate boarding | skater, skating,
    skate, board, boarder, trick, ramp, half pipe, skatepark, skate park, rail, grind, rollerblade
surfboard : surfer, surfing, surf board, boogie board, bodyboard, windsurfer, wakeboard, wakeboarder, wakeboarding,
    windsurfing, paddle board, body board, wind surfer, wave boarder, boogie boarding, surf | board, wave, wetsuit,
    boarder, waterski, boarding, water skiing, sail, kite, riding, skim
snowboard : snowboarder, snowboarding, snow board, snow boarder, snow boarding | board, ski, skier, boarder, slope,
    sled, trick, snow, boarding, skiing, skiis, skiier
ski : skier, skiing, cross country ski, downhill skier, skiis, skiier, skiiers, cross country skier, waterski, water
    ski, waterskier, water skier, waterskiing, water skiing, skies | slope, snowboard, snowboarder, snowboarding,
    board, snow, pole, sled, wakeboard, wakeboarder, wakeboarding, snowshoe
sled : sledding, toboggan, sledge, sleigh, sledder, dog sled, snow tube | tube, sliding, slide, inner tube, innertube,
    snow, saucer, disc, tubing, downhill
ice skate : ice skater, ice skating, figure skater, ice hockey, hockey player, hockey | skate, skating, rink, skater,
    ice
roller skate : rollerblade, roller blade, rollerblader, roller skater, rollerblading, roller blader, roller skating,
    inline skate, inline skater, rollerskating, rollerskate, rollerskater, inline skating, roller blading, roller
    derby | skate, skating, skater, trick, half pipe, ramp, rail, blade, grind, grinding
ball : football, basketball, soccer ball, tennis ball, baseball, volleyball, beach ball, softball, rugby ball, bowling
    ball, golf ball, rubber ball, soccer, yoyo | toy, game, play, player, playing, catch, fetch, bat, racket, racquet,
    tennis, rugby, cricket, golf, lacrosse, batter, pitcher, kick, throw, bowling, hockey, sport, team, polo,
    dodgeball, juggling, something, object, dribble, goalie, goal, match, pool table, catcher, hit, hitting,
    paintball, mouth, pitch, ping pong
frisbee : disc, flying disc, disk, flying disk | toy, catch, catching, throw, something, object, fetch, mouth, plate,
    ring
kite : kite surfing, kiteboarding, kite surfer, kiteboarder, kitesurfer, parasail, parasailing, parasailer, parachute
    | flying, sail, parasailer, paraglider, glider, string, hang glider, windsurf
tennis racket : racket, racquet, tennis racquet, tennis player, tennis, badminton racket | badminton, player, sport,
    ball, squash
baseball bat : batter, cricket bat | baseball, softball, cricket, hit, hitting, swinging, swing, player, stick, ball,
    tee ball, hitter, pinata
hockey stick : hockey player, hockey, lacrosse stick, field hockey | lacrosse, ice, goalie, stick, player
basketball hoop : hoop, basketball net, basketball goal, basketball game, slam dunk, dunk, basketball player,
    basketball court, basket | basketball, net, ball, court, player, goal
trampoline : | jumping, bouncing, jump, bounce, inflatable, flip, air, midair, bouncy
swing : swing set, swinging, tire swing, rope swing, swingset | rope, playground, hanging, tire, bat, park, harness
slide : water slide, waterslide, playground slide | playground, sliding, park, play, inflatable, tube
fountain : water fountain, sprinkler, water jet, water sprinkler, spray fountain | splashing, spray, spraying, jet,
    square, hose, water feature, plaza, sprayed, squirting, play, playing
pool : swimming pool, kiddie pool, wading pool, inflatable pool, paddling pool, poolside | swimming, swim, swimmer,
    water, dive, diving, float, splashing, splash, bath, underwater, tub, raft, slide, goggle, floating, swimsuit,
    snorkel ! pool table
tent : canopy, teepee | camping, camp, campsite, booth, shelter, umbrella, market, awning, stall, tarp
umbrella : parasol | rain, canopy, shade, beach, awning, patio, rainy
bench : park bench, wooden bench | seat, sitting, sits, sit, seated, bleachers, pew, chair, sat, resting, picnic
    table, seating
chair : armchair, lawn chair, rocking chair, folding chair, stool, high chair, highchair, lounge chair, beach chair,
    recliner, chaise, deck chair, wheelchair, barstool | seat, sitting, sits, sit, seated, furniture, bench, table,
    sofa, couch, restaurant, cafe, office, desk, throne, dining, sat, patio, audience, dinner, meal, porch, bar, room
couch : sofa, loveseat, futon | seat, sitting, sits, chair, furniture, living room, recliner, room, cushion, sat, bed,
    resting, loveseat, armchair
bed : bunk bed, hospital bed, mattress, crib, bunk, cot | sleeping, bedroom, asleep, pillow, blanket, couch, laying,
    lying, lay, hammock, lies, hotel, cushion, sheet, nap
table : picnic table, dining table, coffee table, pool table, desk, dinner table, operating table, counter |
    restaurant, cafe, sitting, sits, seated, meal, eating, food, dinner, kitchen, office, bar, bench, drink,
    furniture, stand, booth, room, lunch, picnic, market, cake, coffee, computer, reading, plate, book
horse cart : carriage, wagon, horse carriage, cart, buggy, chariot | horse, stroller, pulling, wheelbarrow
guitar : electric guitar, acoustic guitar, guitarist, bass guitar | music, musician, band, instrument, performing,
    stage, bass, singer, ukulele, concert, banjo, performer
drum : drummer, drum set, drumming, bongo | music, musician, band, instrument, concert, stage, marching, parade
microphone : karaoke, mic | singing, singer, sing, sings, speaking, stage, concert, band, performer, music,
    performing, interview, speech
computer : laptop, keyboard, monitor, ipad, laptop computer | screen, desk, office, electronic, machine, typing, video
    game, console, tablet
phone : cellphone, cell phone, telephone, mobile phone, cellular phone, payphone, mobile, phone booth | talking,
    device, electronic, texting, camera, headset, call, booth, hand
camera : photographer, video camera, camcorder, tripod, cameraman, digital camera | photo, picture, photograph,
    filming, phone, film, video, shot, lens, device, pose, posing, telescope, taking
book : magazine, novel, textbook, bible | reading, read, reads, paper, newspaper, library, writing, bookstore,
    studying, map, menu, bookshelf, homework, notebook, magazine
newspaper : | paper, reading, reads, magazine, book, read, map
sign : billboard, stop sign, street sign, poster, banner, road sign | writing, saying, says, advertisement, store,
    board, shop, graffiti, reading, protest, read, reads, street, city
flag : american flag, banner | parade, kite, pole
statue : sculpture, bust | monument, mannequin, fountain, figure, stone, art, model
bridge : footbridge, drawbridge, rope bridge, suspension bridge, wooden bridge, overpass | walkway, dock, boardwalk,
    railing, plank, river, path, log, pier, rope, over
fence : chain link fence, picket fence, wooden fence, fenced, chain fence | railing, gate, barrier, wall, wire, yard,
    pen, cage, rodeo, backyard, enclosure, net, baseball, barricade, tennis, hurdle, rail, obstacle
stairs : stair, staircase, stairway, steps, stairwell, flight of stairs, step, escalator | railing, ledge, handrail,
    rail, ramp, building, bleachers, stoop, platform
ladder : stepladder, step ladder, rope ladder | climbing, scaffold, scaffolding, climb, playground, rung, steps
rope : ropes, tightrope, cord, rope swing, tug of war, jump rope, rope bridge, rope ladder | climbing, climber,
    harness, rappelling, string, leash, rock climber, toy, swing, line, lasso, bridge, net, cable, pulled, tug,
    wakeboard, wakeboarder, waterski, climb, climbs, hammock, suspended, chain, zip line, roped, scaling, pulling,
    boat, water skier, rappel
hurdle : agility course, obstacle course, steeplechase | obstacle, jump, jumping, jumps, agility, bar, leaping, leaps,
    fence, gate, pole, barrier, leap, hoop, log, course, show, beam
helicopter : chopper | aircraft, airplane, plane
carousel : merry go round, ferris wheel, roller coaster, fairground ride, carnival ride, amusement ride | ride, fair,
    carnival, amusement park, amusement, wheel, festival
tractor : bulldozer, excavator, backhoe, lawn mower, lawnmower, plow | vehicle, construction, machine, truck,
    equipment, farm, machinery, digger
balloon : hot air balloon, water balloon, balloons | inflatable, party, ball, bubble, birthday
bubble : bubbles | soap, foam, blowing, bath
cake : birthday cake, cupcake, wedding cake | birthday, dessert, food, candle, party, pastry, pie, eating, wedding,
    frosting, cream
candle : | birthday, cake, light, lit, fire
pizza : | food, eating, slice, restaurant
ice cream : ice cream cone, popsicle, icecream | eating, cone, food, dessert, snack, treat, lollipop, licking, candy
fire : bonfire, campfire, flame, fireplace, torch, fireworks, flaming, firework | smoke, burning, camping, grill,
    barbecue, candle, sparkler, grilling, cooking, lit ! fire truck, fire hydrant, fire engine
beach : seashore, seaside, sandy beach, beachfront, shore, shoreline, seashore, coast | sand, ocean, sea, surf, wave,
    surfer, bay, sandy, lake, water, dune, surfing, surfboard, bikini, sea, dock, island, pier
snow : snowy, snowdrift, snowbank, snowball, snow covered, snowboarder, snowboarding, snowboard, snowman, snowstorm,
    snowfall, snowfield, snow boarder | ice, icy, ski, skier, skiing, slope, winter, sled, sledding, snowcapped,
    frozen, mountain, snow capped, blizzard, snowmobile, cold, glacier, mountaintop, peak, snowsuit, skiier, toboggan
sand : sandy, dune, sand dune, sandbox, sandcastle, sand castle, sandbar | beach, desert, ocean, shore, dirt,
    volleyball, sea, mud, coast, surf, wave, playground, gravel, ground, dusty, long jump, seashore, shoreline, dusty
grass : grassy, lawn, meadow, grassland, grass field | field, park, yard, hill, ground, green, pasture, outside,
    outdoors, garden, backyard, soccer, football, baseball, hillside, farm, brush, weeds, vegetation, game, plant,
    outdoor, frisbee, golf, trail, wooded, tree, woods, camp, countryside, rural, picnic, rugby, flowers, flower,
    pitch, mound, fetch, path, bush, clearing, forest, cricket, hay, horse, dog, animal, ball, lacrosse, sprinkler,
    obstacle, course, straw
water : ocean, sea, lake, river, pool, pond, swimming pool, stream, wave, creek, waterfall, swimming, swim, swims,
    swimmer, surfer, surfing, puddle, rapids, waters, canoe, kayak, raft, boat, underwater, fountain, shore, water
    fountain, surf, sprinkler, waterskier, hose | beach, splash, splashing, wet, dock, pier, fishing, fisherman,
    spray, wading, diving, wetsuit, bath, tub, bathtub, canal, bay, dive, floating, harbor, coast, boating, rain,
    bridge, marsh, muddy, shallow, swamp, paddling, paddle, wakeboard, wakeboarder, wakeboarding, kiddie pool,
    snorkel, sink, bottle, drinking, seashore, shoreline, rainy, soaked, raining, beachside, sailing, ship, wades,
    glass, bay, water slide, mud, slide, jet, bikini, swimsuit, dam, drink, ski, bucket, sail, slip, soaking
wave : surf, surfing, surfer, whitecap | ocean, sea, splash, beach, surfboard, boogie board, rapids, water,
    windsurfer, rough, wake, wakeboard, shore, waters ! waving, hand, window, crowd, flag, car, train
waterfall : falls | stream, cliff, river, rapids, fountain, water, cascade, dam
mountain : mountainside, mountaintop, mountains, peak, mountain range, mountain top, summit, snowy mountain | hill,
    cliff, hillside, rock, slope, ski, skier, snowboarder, valley, climber, climbing, hiker, rocky, canyon, hiking,
    landscape, terrain, ridge, snowboarding, skiing, range, glacier, volcano, snowcapped, overlook, climb, scenic,
    climbs, hills, trail, snowboard, countryside, desert, rural, scaling, butte, horizon, distance, bluff, downhill,
    view, scenery, lake
rock : boulder, cliff, rocky, stone, rocks, rock wall, rock face, rock climber, rock climbing, pebble, rock formation,
    outcropping, cliffs | climber, climbing, mountain, wall, ledge, canyon, gravel, river, rubble, beach, climb,
    climbs, mountainside, peak, shore, hill, waterfall, rapids, creek, stream, brick, trail, cave, desert, summit,
    mountaintop, terrain, scaling, hiker, path, hiking, ridge, garden, coast, steps, edge, woods, landscape, hike,
    rough, concrete ! rock band, rock concert, rock star, rock music, rock and roll
tree : palm tree, christmas tree, pine tree, trees, branch, tree trunk, tree branch, forest, woods, wooded | park,
    jungle, leaf, trunk, log, pine, bush, orchard, trail, yard, garden, outside, outdoors, mountain, hill, field,
    outdoor, backyard, plant, swing, landscape, stick, countryside, grass, path, rural, river, lake, street, woodland,
    foliage, wooded area, lawn, road, house, wilderness, shrub, autumn, hammock
flower : rose, daisy, sunflower, flowered, tulip, bouquet, floral | garden, plant, bloom, meadow, petal, field,
    wedding, bride, weeds, lily, blossom, foliage, bush, flowery, wildflower
skyscraper : tall building, high rise, skyline, tall buildings | city, building, downtown, tower, urban, street
window : storefront, windowsill, shop window | building, house, store, bus, train, car, shop, room, glass, reflection,
    office, kitchen, restaurant, wall, subway, van, truck, truck, plane, window, door, indoors, inside, city, street
door : doorway, gate, doors, doorstep | entrance, house, building, store, room, entry, porch, shop, garage, car,
    kitchen, hallway, window, closet, steps, train, subway, indoors, inside, street
tunnel : tube, culvert | pipe, bridge, cave, hole, underpass, agility, barrel, crawling, crawl
hat : cap, beanie, baseball cap, cowboy hat, helmet, sombrero, straw hat, ski cap, visor, bonnet, santa hat, top hat,
    fedora, beret, stocking cap, hard hat, bandanna, headdress, turban, hood, hooded, toque | costume, headscarf,
    headgear, uniform, winter, skier, santa, hair, outfit, dressed, gear, hoodie, bandana, bundled, headband,
    clothing, clothes, cold
helmet : hardhat, hard hat, bike helmet, crash helmet, football helmet, helmeted | biker, cyclist, motorcycle,
    motocross, skier, football, baseball, batter, racer, bike, bicyclist, gear, hockey, hat, uniform, atv, climber,
    rider, motorcyclist, bicycle, lacrosse, catcher, snowboarder, cap, safety, rollerblade, scooter, astronaut,
    skateboarder, skateboarding, skateboard, kayak, kayaker, rafting, headgear, equipment, player, dirt bike,
    rollerblader, skating, rapids, cycling, goalie, cricket, jockey, race, goggle, raft, fencer, skater, rafter, ski,
    skate, rock climber, climbing, mask, soldier, hang glider, skydiver, bmx
sunglasses : sunglass, shades, dark glasses, dark sunglasses | glasses, goggle, eyewear, glass, sunny
goggles : goggle, ski goggles, swim goggles, swimming goggles | glasses, sunglasses, skier, snowboarder, snorkel,
    swimmer, mask, swimming, helmet, ski, gear, underwater, swim, motocross, diver, motorcycle
backpack : rucksack, knapsack, back pack | bag, hiker, hiking, pack, gear, luggage, camping, baby carrier, school,
    hike, equipment, bags, student, tourist, parachute, climber, belonging
bag : purse, handbag, plastic bag, shopping bag, backpack, suitcase, luggage, briefcase, tote, paper bag, sack, duffel
    bag, garbage bag, bags, sleeping bag, satchel | shopping, hiker, pack, carrying, gear, groceries, belonging,
    basket, holding, traveler, punching bag, hiking, traveling, market, tourist, package, box, train, station, food
leash : lead, leashed | walking, collar, rope, chain, harness, walk, owner, string, pulled, tied, walks
lifejacket : life jacket, life vest, lifevest, floatation device, flotation device, life preserver, safety vest |
    vest, boat, raft, kayak, canoe, jacket, inflatable, rafting, waterskier, wakeboarder, jet ski, floating, kayaker,
    float
wetsuit : wet suit, diving suit | surfer, suit, surfboard, diver, swim, wakeboarder, scuba, surfing, surf,
    wakeboarding, bodysuit, black suit, boogie board, wave, waterskier, swimmer
swimsuit : bathing suit, swimming trunks, swim trunks, bikini, trunks, swimwear, bathing trunks, bathing cap, swim
    suit, swimming suit, swimming costume, speedo | beach, pool, swimming, swimmer, ocean, swim, diver, wading,
    shorts, sprinkler, water, surfer, shirtless, topless, wetsuit, sunbathing, lake, underwater, bare, bathing,
    fountain, splashing, splash, sea, surf, wave, suit, dive, diving, surfing, slide, naked
costume : dressed as, dressed up, halloween costume, mask, masked, disguise | outfit, clown, parade, halloween,
    superhero, dress, dressed, suit, fairy, princess, santa, cape, wig, makeup, tutu, face paint, uniform, robe,
    painted, attire, performer, fancy, traditional, festival, dancer, ballerina, pirate, santa claus, clothing,
    clothes, gown, mascot, dancing, dance, kimono, renaissance, ears, character, dresses, performance, strange
bottle : beer bottle, water bottle, wine bottle, baby bottle | drink, beer, drinking, soda, wine, beverage, bar,
    sprite, coke, drinks, liquid, alcohol, can, water, milk, container, cup
cup : mug, glass of, coffee cup, wine glass, coffee mug, beer mug, cups, glass, drinking glass, plastic cup | drink,
    beer, drinking, wine, coffee, beverage, bottle, tea, soda, drinks, restaurant, cafe, bar, meal, table, juice,
    starbucks, toast, bowl
toilet : urinal, bathroom | restroom
television : tv, television set, tv screen | screen, monitor, video game, living room, watching, room, wii
kitchen : | cooking, cook, stove, chef, restaurant, counter, sink, oven, baking, dishes, cabinet, refrigerator, food,
    house, indoors, table, room, inside, home
shopping cart : grocery cart, trolley, shopping trolley | cart, store, shopping, supermarket, grocery
hammock : | swing, resting, net, lounging, suspended, bed
stick : branch, twig, sticks, tree branch, ski pole, log, wooden stick | pole, something, fetch, object, toy, rod,
    wood, bat, hockey, lacrosse, cane, golf, mouth, piece, paddle, chew, chewing, item, weapon, sword, holding,
    retrieve, retrieving, carrying, fetching, baton, tree, broom, ski, skier, bone
net : goal, volleyball net, soccer net, tennis net, basketball net, soccer goal, hammock, butterfly net, fishing net |
    tennis, volleyball, hoop, basketball, goalie, court, soccer, badminton, hockey, fishing, lacrosse, trampoline,
    fence, basket, rope, score, cage, game, sport, shot
dress : gown, wedding dress, sundress, skirt, bride, ballgown, tutu, kimono, dresses, prom dress, sari | costume,
    wedding, woman, ballerina, girl, robe, outfit, formal, dancer, lady, clothing, traditional, female, clothes,
    dressed, attire
shirt : t shirt, tshirt, tee shirt, polo shirt, dress shirt, undershirt, tank top, tanktop, tee | top, jersey,
    sweater, sweatshirt, blouse
jacket : coat, parka, ski jacket, winter coat, leather jacket, raincoat, winter jacket, windbreaker, blazer, jean
    jacket, anorak |
sweater : sweatshirt, hoodie, pullover, cardigan, jumper top, hooded sweatshirt |
pants : trousers, slacks, jeans, leggings, khakis, sweatpants, overalls |
shorts : swim shorts, board shorts |
skirt : tutu, miniskirt |
vest : life vest, safety vest, lifevest |
scarf : bandanna, headscarf, bandana, shawl |
collar : dog collar |
uniform : soccer uniform, football uniform |
outfit : attire, jumpsuit |
suit : business suit |
toy : stuffed animal, rubber toy, chew toy, water gun, water pistol, squirt gun |
wall : brick wall, stone wall |
building : house, church, skyscraper, apartment building |
blanket : towel, quilt, rug |
jersey : |
tie : necktie, bow tie |
tube : inner tube, innertube |
hot dog : chili dog, cheese dog, chili cheese dog, corn dog, hotdog |
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Objects that captioners often leave unsaid (in Flickr8k's train split a second caption repeats the mention less than
# about 45 times in 100): five silent captions say little, so their presence is not asked.
_UNRELIABLE = _words(
    "shirt jacket sweater pants shorts skirt vest scarf collar uniform outfit suit toy wall building blanket jersey "
    "tie tube camera flower door crowd skyscraper television cup wetsuit backpack helmet leash ladder hat sign bag "
    "window sunglasses goggles hurdle fence net truck tractor player hammock swimsuit costume monkey"
) | {"hot dog"}
_MASS = frozenset(("snow", "sand", "grass", "water", "fire", "pizza", "ice cream"))
_PLURAL = frozenset(("stairs", "sunglasses", "goggles", "pants", "shorts"))
_IRREGULAR = {
    "person": "people", "child": "children", "foot": "feet", "goose": "geese", "calf": "calves", "scarf": "scarves",
    "leaf": "leaves", "ox": "oxen", "sheep": "sheep", "fish": "fish", "deer": "deer", "cattle": "cattle",
    "schoolchild": "schoolchildren", "wolf": "wolves", "adult": "adults",
}  # fmt: skip


def _plural(noun: str) -> str:
    """The plural of a noun's last word: "water bottle" -> "water bottles", "old man" -> "old men"."""
    head, _, last = noun.rpartition(" ")
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif last.endswith("man") and last not in ("human", "german"):
        last = last[:-3] + "men"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "es" if last.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{head} {last}".strip()


def _entries(text: str) -> list[str]:
    """The lines of a table; an indented line goes on with the one before."""
    return re.sub(r"\n +", " ", text.strip()).splitlines()


def _read_vocabulary(text: str) -> dict[str, _Object]:
    objects = {}
    for line in _entries(text):
        head, _, body = line.partition(":")
        body, _, confusers = body.partition("!")
        words, _, doubts = body.partition("|")
        name, _, parents = head.partition("<")
        split = [tuple(w.strip() for w in part.split(",") if w.strip()) for part in (parents, words, doubts, confusers)]
        objects[name.strip()] = _Object(name.strip(), split[0], (name.strip(), *split[1]), *split[2:])
    return objects


_OBJECTS = _read_vocabulary(_VOCABULARY)
PRESENCE_OBJECTS: tuple[str, ...] = tuple(sorted(set(_OBJECTS) - _UNRELIABLE))


@dataclass(frozen=True)
class _Mention:
    """Tokens `[start, stop)` of a caption name `term`, a word of the vocabulary in the singular."""

    start: int
    stop: int
    term: str
    plural: bool


def _tokens(caption: str) -> list[str]:
    return re.findall(r"[a-z]+", re.sub(r"['’]s\b", "", caption.lower()))


@cache
def _lexicon() -> dict[tuple[str, ...], tuple[str, bool]]:
    """Word tuples, singular and plural, to (term, whether plural)."""
    terms = {w for o in _OBJECTS.values() for w in (*o.words, *o.doubts, *o.confusers)}
    plurals = {tuple(_plural(term).split()): (term, True) for term in terms}
    return {tuple(term.split()): (term, False) for term in terms} | plurals


def _mentions(tokens: Sequence[str]) -> list[_Mention]:
    """Vocabulary words from left to right, the longest first: "swimming pool" is not "pool"."""
    found, at = [], 0
    while at < len(tokens):
        for length in (4, 3, 2, 1):
            hit = _lexicon().get(tuple(tokens[at : at + length]))
            if hit and at + length <= len(tokens):
                found.append(_Mention(at, at + length, *hit))
                at += length - 1
                break
        at += 1
    return found


# Captioners also call grown women girls, and sons may be men: these show a boy or a girl, not surely a child.
_AMBIGUOUS = frozenset(("boy", "girl", "son", "daughter", "teenage boy", "teenage girl"))


@cache
def _ancestors(name: str) -> frozenset[str]:
    parents = _OBJECTS[name].parents
    return frozenset(parents).union(*(_ancestors(p) for p in parents))


@cache
def _shown_by(name: str) -> frozenset[str]:
    """Terms that show the object: its own and its descendants'."""
    shown = frozenset(w for o in _OBJECTS.values() if o.name == name or name in _ancestors(o.name) for w in o.words)
    return shown - _AMBIGUOUS if name == "child" else shown


@cache
def _doubted_by(name: str) -> frozenset[str]:
    """Terms that leave the object's absence in doubt; "person" and "skater" do so for "man"."""
    inherited = frozenset(w for parent in _ancestors(name) for w in _OBJECTS[parent].words)
    unsure = _AMBIGUOUS if name == "child" else frozenset[str]()
    return (frozenset(_OBJECTS[name].doubts) | inherited | unsure) - _shown_by(name)


@dataclass(frozen=True)
class _Photo:
    """A photo's captions, read once; `terms` and `phrases` are what `votes` and `tellings` look up in each."""

    tokens: tuple[list[str], ...]
    mentions: tuple[list[_Mention], ...]
    terms: tuple[frozenset[str], ...]
    phrases: tuple[frozenset[tuple[str, ...]], ...]

    def votes(self, terms: frozenset[str]) -> int:
        """How many captions mention one of `terms`."""
        return sum(not terms.isdisjoint(said) for said in self.terms)

    def tellings(self, phrases: frozenset[tuple[str, ...]]) -> int:
        """How many captions hold one of `phrases`, whole words in a row."""
        return sum(not phrases.isdisjoint(said) for said in self.phrases)


def _read_photo(captions: Sequence[str]) -> _Photo:
    tokens = tuple(_tokens(c) for c in captions)
    mentions = tuple(_mentions(t) for t in tokens)
    phrases = (frozenset(tuple(t[i : i + n]) for n in (1, 2, 3, 4) for i in range(len(t) - n + 1)) for t in tokens)
    return _Photo(tokens, mentions, tuple(frozenset(m.term for m in ms) for ms in mentions), tuple(phrases))


def _read(captions: Sequence[Sequence[str]]) -> list[_Photo]:
    return [_read_photo(of_photo) for of_photo in captions]


def _phrase(name: str) -> str:
    """The object as a question names it: "a dog", "an umbrella", "snow", "stairs"."""
    if name in _MASS or name in _PLURAL:
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


# The first wording of a kind is the canonical one, which evaluation uses.
_PRESENCE = (
    "{Be} there {thing}?", "{Be} there {thing} in this picture?", "Can you see {thing}?", "Do you see {thing}?",
    "Does the picture show {thing}?", "{Be} there {thing} here?", "Does this video show {thing}?",
    "Can {thing} be seen?",
    "{Be} there {thing} in the video?",
)  # fmt: skip
_COLOUR = (
    "What colour {be} {thing}?", "What color {be} {thing}?", "What is the colour of {thing}?",
    "What is the color of {thing}?", "Which colour {be} {thing}?", "Which color {be} {thing}?",
)  # fmt: skip
_COUNT = (
    "How many {things} are there?", "How many {things} are in this picture?", "How many {things} can you see?",
    "How many {things} do you see?", "What is the number of {things}?", "How many {things} are in the video?",
)  # fmt: skip
_ACTION = (
    "What is {who} doing?", "What does {who} do?", "What is {who} doing in this video?", "Which action is {who} doing?",
)  # fmt: skip
_HAPPENING = (
    "What is happening?", "What is the action shown?", "What is going on?", "What is happening in this video?",
)  # fmt: skip
_WHERE = (
    "Where is this?", "Where does this happen?", "Where was this taken?", "In what place is this?",
    "What is the setting?", "Where are they?",
)  # fmt: skip


@dataclass(frozen=True)
class _Fact:
    """What the captions of one photo agree on, before it is worded. `topic` says what was asked about."""

    photo: int
    topic: str
    answer: str
    fields: Mapping[str, str]
    templates: tuple[str, ...]

    def worded(self, kind: str, candidates: tuple[str, ...], template: str) -> Question:
        return Question(self.photo, kind, template.format(**self.fields), self.answer, candidates)


# ---- presence


def _draw(photos: Sequence[int], weights: Sequence[float], count: int, random: Random) -> list[int]:
    """`count` of `photos` without replacement, likelier where the weight is larger (Efraimidis and Spirakis)."""
    keys = {p: random.random() ** (1 / w) if w > 0 else -random.random() for p, w in zip(photos, weights, strict=True)}
    return sorted(sorted(photos, key=keys.__getitem__, reverse=True)[:count])


def _presence(photos: Sequence[_Photo], most: int | None, random: Random) -> list[_Fact]:
    """As many yes as no for every object, at most `most` of each; the negatives drawn by co-occurrence."""
    votes = {name: [photo.votes(_shown_by(name)) for photo in photos] for name in PRESENCE_OBJECTS}
    seen = {name: {i for i, n in enumerate(votes[name]) if n >= 2} for name in PRESENCE_OBJECTS}
    on_photo = [[name for name in PRESENCE_OBJECTS if i in seen[name]] for i in range(len(photos))]
    facts = []
    for name in PRESENCE_OBJECTS:
        confused = frozenset(_OBJECTS[name].confusers)
        clear = [i for i, photo in enumerate(photos) if not photo.votes(confused)]
        absent = [i for i in clear if not votes[name][i] and not photos[i].votes(_doubted_by(name))]
        present = [i for i in clear if i in seen[name]]
        together = {other: len(seen[name] & seen[other]) / max(1, len(seen[other])) for other in PRESENCE_OBJECTS}
        weights = [sum(together[other] for other in on_photo[i]) ** 2 for i in absent]  # squared: hard ones first
        count = min(len(present), len(absent), most or len(photos))
        chosen = ("yes", sorted(random.sample(present, count))), ("no", _draw(absent, weights, count, random))
        be = "Are" if name in _PLURAL else "Is"
        fields = {"Be": be, "thing": _phrase(name)}
        facts += [_Fact(i, name, answer, fields, _PRESENCE) for answer, numbers in chosen for i in numbers]
    return facts


# ---- colour

COLOURS = NAMES
_SHADES = {colour: colour for colour in COLOURS} | {
    "gray": "grey", "tan": "brown", "beige": "brown", "maroon": "red", "navy": "blue", "violet": "purple",
    "greenish": "green", "reddish": "red", "silver": "grey", "brunette": "brown", "khaki": "brown",
}  # fmt: skip
# Neither one colour nor none: the noun beside such a word is not asked about.
_UNCLEAR = _words(
    "colorful colourful multicolored multicoloured multi tri colored coloured striped stripes plaid checkered spotted "
    "spots patterned camouflage camo floral flowered tie dyed print polka golden gold turquoise aqua teal rainbow "
    "patches markings patch spot tricolored blond blonde brindle cream dalmatian zebra tipped"
)
_MODIFIERS = _words(
    "light dark bright pale deep neon hot baby large big small little tiny huge long short old young new leather "
    "rubber plastic wooden metal winter ski hooded knit fluffy furry shaggy wet muddy fuzzy sleeved sleeve shiny toy "
    "soft collared button down t thick heavy sports race puffy inflatable skinny short haired hairy"
)
_GARMENTS = _words(
    "shirt jacket sweater pants shorts skirt vest scarf hat helmet dress uniform outfit suit jersey tie swimsuit "
    "costume wetsuit backpack bag lifejacket collar"
)
_COLOURED = _GARMENTS | _words(
    "dog cat horse bird cow ball frisbee car truck bus train boat bicycle motorcycle atv scooter toy slide tent "
    "umbrella surfboard kite sled rope bench chair couch balloon building wall tube blanket skateboard stroller "
    "airplane helicopter ski snowboard table sign flag leash"
)  # fmt: skip
_OWNERS = ("man", "woman", "boy", "girl", "child")
_WORN = _words(
    "in wearing wears with wear"
)


def _colours_before(tokens: Sequence[str], start: int) -> set[str]:
    """Colours said of the noun that starts at `start`; "unclear" if it is patterned or has several colours."""
    found, at = set[str](), start - 1
    while at >= 0:
        word, right = tokens[at], tokens[at + 1]
        joins = word == "and" and at + 1 < start and (right in _SHADES or right in _UNCLEAR)
        if not (joins or word in _SHADES or word in _MODIFIERS or word in _UNCLEAR):
            break
        found |= {_SHADES[word]} if word in _SHADES else {"unclear"} if word in _UNCLEAR else set()
        at -= 1
    return found


def _patterned_after(tokens: Sequence[str], stop: int) -> bool:
    """Whether "with white paws" or the like follows the noun: then no one colour says it all."""
    after = tokens[stop : stop + 5]
    marks = {"spots", "patches", "markings", "stripes", "paws", "chest", "spot", "trim", "face", "polka"}
    return bool(after) and after[0] in ("with", "and") and not marks.isdisjoint(after)


def _owner(tokens: Sequence[str], mentions: Sequence[_Mention], at: int) -> str | None:
    """Who wears the garment at mention `at`: the person before it, if "in" or "wearing" stands between and no other."""
    people = [m for m in mentions[:at] if m.term in _shown_by("person")]
    if not people or _WORN.isdisjoint(tokens[people[-1].stop : mentions[at].start]) or people[-1].plural:
        return None
    return next((owner for owner in _OWNERS if people[-1].term in _OBJECTS[owner].words), "person")


def _colour_votes(photo: _Photo, name: str) -> tuple[list[str], list[str]]:
    """For each caption that colours the noun, its colour, or "unclear"; and whom the garment belongs to."""
    colours, owners, terms = [], [], frozenset(_OBJECTS[name].words)
    for tokens, mentions in zip(photo.tokens, photo.mentions, strict=True):
        here = [i for i, m in enumerate(mentions) if m.term in terms]
        for i in here:
            mention = mentions[i]
            found = _colours_before(tokens, mention.start)
            plural = mention.plural and name not in _PLURAL
            if plural or len(here) > 1 or (found and _patterned_after(tokens, mention.stop)):
                found = {"unclear"}
            if found:
                colours.append(found.pop() if len(found) == 1 else "unclear")
                owners += [owner] if (owner := _owner(tokens, mentions, i)) else []
    return colours, owners


def _colour(photos: Sequence[_Photo], agreeing: int) -> list[_Fact]:
    """A noun's colour where at least `agreeing` captions give it and none gives another."""
    facts = []
    for i, photo in enumerate(photos):
        several = _several(photo, "person")
        for name in sorted(_COLOURED):
            colours, owners = _colour_votes(photo, name)
            if len(set(colours)) != 1 or colours[0] == "unclear" or len(colours) < agreeing:
                continue
            if name in _GARMENTS and len(colours) == 1 and several:
                continue  # another of them may wear one of another colour
            owned = name in _GARMENTS and len(set(owners)) == 1 and owners[0] in _OWNERS
            thing = f"the {owners[0]}'s {name}" if owned else f"the {name}"
            fields = {"be": "are" if name in _PLURAL else "is", "thing": thing}
            facts.append(_Fact(i, name, colours[0], fields, _COLOUR))
    return facts


_NOT_THINGS = _words(
    "and or with in on a an the of at to is are one two three four other another colored coloured colors colours color "
    "colour stripe stripes striped spotted haired sleeved topped clad team teams man woman men women boy girl people "
    "person child couple while by from for as playing running jumps runs watches stands stand plays jumping standing "
    "walks walking rides riding looks sits sitting something"
)


def _said_colours(tokens: Sequence[str]) -> list[tuple[str, str]]:
    """Every noun that a caption colours, with its colour: "a red and shiny ball" says (ball, red). Any noun counts."""
    said = []
    for at, word in enumerate(tokens):
        alone = word in _SHADES and (at == 0 or tokens[at - 1] not in ("and", "or", *_SHADES, *_UNCLEAR))
        if not alone:
            continue
        end = at + 1
        while end < len(tokens) and tokens[end] in _MODIFIERS:
            end += 1
        noun = tokens[end] if end < len(tokens) else ""
        if len(noun) > 2 and noun not in _NOT_THINGS and noun not in _SHADES and noun not in _UNCLEAR:
            said.append((noun, _SHADES[word]))
    return said


def _loose_colours(photos: Sequence[_Photo]) -> list[_Fact]:
    """What `_colour` is too careful to ask, for training alone: any noun that any one caption colours, in its words.

    There may be two such things, or another caption may call it otherwise; then the question is asked for each, which
    teaches how sure one can be.
    """
    careful = {(f.photo, f.topic) for f in _colour(photos, agreeing=1)}
    facts = []
    for i, photo in enumerate(photos):
        for noun, colour in sorted({said for tokens in photo.tokens for said in _said_colours(tokens)}):
            if (i, noun) not in careful:
                several = noun.endswith("s") and not noun.endswith("ss")
                fields = {"be": "are" if several else "is", "thing": f"the {noun}"}
                facts.append(_Fact(i, noun, colour, fields, _COLOUR))
    return facts


# ---- count

COUNTS = ("one", "two", "three", "four")
_NUMERALS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
}  # fmt: skip
_COUNTED = (
    "dog", "man", "woman", "boy", "girl", "person", "horse", "bird", "cat", "cow", "boat", "bicycle", "car",
    "motorcycle", "bench", "umbrella", "chair",
)  # fmt: skip
_SEXES = frozenset(("man", "woman", "boy", "girl"))
_MANY, _UNSURE = -1, 0
_GROUPS = _words("group team crowd couple family pair twin band audience parent army")


def _number_before(tokens: Sequence[str], mention: _Mention) -> int:
    """How many the mention says there are: a numeral within four words before a plural, 1 for a singular, else many."""
    if not mention.plural:
        return _MANY if mention.term in _GROUPS else 1
    for word in reversed(tokens[max(0, mention.start - 4) : mention.start]):
        if word in _NUMERALS:
            return _NUMERALS[word]
        if word in ("and", "with", "of", "other", "the", "in", "on", "by"):
            break
    return _MANY


def _counts(photo: _Photo, name: str) -> list[int]:
    """What each caption that names the thing says of its number; `_UNSURE` where it names it twice."""
    terms, counts = _shown_by(name), []
    for tokens, mentions in zip(photo.tokens, photo.mentions, strict=True):
        here = [m for m in mentions if m.term in terms]
        if here:
            number = _number_before(tokens, here[0])
            alone = len(here) == 1 and not {"another", "other", "others", "group"} & set(tokens)
            counts.append(number if alone else _UNSURE)
    return counts


def _agreed_count(photo: _Photo, name: str) -> int | None:
    """The number of things, where captions agree: three say one and none speaks of several, or two say more.

    A caption may single out one of three, so against a number above two a lone singular does not count.
    """
    counts = Counter(_counts(photo, name))
    most = max(counts, default=_UNSURE)
    if most < 1 or counts[most] < (3 if most == 1 else 2):
        return None
    if set(counts) - {most, _MANY, _UNSURE} - ({1} if most > 2 else set()) or counts[1] > counts[most]:
        return None
    if most == 1:
        return None if counts[_MANY] or counts[_UNSURE] or _several(photo, name) else 1
    return most if most > 2 or counts[_MANY] < counts[most] else None


@cache
def _may_include(name: str) -> frozenset[str]:
    """Terms whose plural may include the thing: for "man" all people but women, boys and girls."""
    if name not in _shown_by("person"):
        return _shown_by(name)
    others = frozenset().union(*(_shown_by(o) for o in _SEXES - {name})) if name in _SEXES else frozenset[str]()
    return _GROUPS | (_shown_by("person") - others) | _shown_by(name)


def _several(photo: _Photo, name: str) -> bool:
    """Whether a caption speaks of several things of which the one named may be one: then there may be more of it."""
    related = _may_include(name)
    return any(m.term in related and (m.plural or m.term in _GROUPS) for ms in photo.mentions for m in ms)


def _count(photos: Sequence[_Photo]) -> list[_Fact]:
    facts = []
    for i, photo in enumerate(photos):
        for name in _COUNTED:
            number = _agreed_count(photo, name)
            if number and number <= len(COUNTS):
                fields = {"things": _plural(name)}
                facts.append(_Fact(i, name, COUNTS[number - 1], fields, _COUNT))
    return facts


# ---- action and place

# answer = words that tell of it. Answers further down are used only where none further up holds ("playing soccer" is
# also running), in the same line of thought as in `_PLACES`.
_ACTIONS = """
riding a bicycle : bicycle, bike, biking, cycling, bicyclist, cyclist, bicycling, bmx, wheelie
riding a motorcycle : motorcycle, motorbike, motocross, motorcyclist, dirt bike, motorcycles, dirtbike
skateboarding : skateboarding, skateboarder, skateboard, skateboards, skateboarders
snowboarding : snowboarding, snowboarder, snowboard, snowboards, snowboarders
surfing : surfing, surfer, surfs, surfboard, surfers, surf
skiing : skiing, skier, skis, skiers, ski, skiier
sledding : sledding, sled, toboggan, sleds
ice skating : ice skating, ice skater, ice skates, figure skating, ice skate
roller skating : rollerblading, rollerblader, rollerskating, roller skating, inline skating, rollerblades, roller
    skates, roller skates
water skiing : waterskiing, water skiing, waterskier, wakeboarding, wakeboarder, wakeboards, wakeboard, water skier,
    water skis
paddling a boat : kayaking, kayak, canoeing, canoe, rowing, paddling, rafting, raft, kayaker, rowboat, paddles, rows
playing soccer : soccer
playing football : football
playing basketball : basketball
playing baseball : baseball, softball
playing tennis : tennis
playing volleyball : volleyball
playing hockey : hockey
playing golf : golf, golfer, golfing
playing rugby : rugby
playing frisbee : frisbee, frisbees, disc
playing music : guitar, guitars, drums, playing music, violin, accordion, singing, sings, trumpet, saxophone, flute,
    instrument, instruments, piano
riding a horse : riding a horse, rides a horse, riding horses, rodeo, horseback, jockey, bronco, riding a bull
rock climbing : rock climbing, rock climber, climbing a rock, climbing rock, scaling, rock wall, climbs a rock,
    rappelling, climbing a cliff, mountain climbing, rock face, cliff face
fishing : fishing, fishes, fisherman
bouncing on a trampoline : trampoline
swinging : swinging, swing, swings
sliding : sliding, slides, slide
swimming : swimming, swims, swim, swimmer, swam
diving : diving, dives, dive, diver, dived
wading : wading, wades, wade
dancing : dancing, dances, dance, dancer, dancers
wrestling : wrestling, wrestle, wrestles, fighting, fight, fights, boxing, boxer, boxers, karate, kickboxing,
    kickboxers
blowing bubbles : bubbles, bubble
reading : reading, reads, read
eating : eating, eats, eat, meal, dinner, lunch, licking
drinking : drinking, drinks, drink, sipping
sleeping : sleeping, sleeps, asleep, nap, sleep, napping
painting : painting, paints, drawing, draws
cooking : cooking, cooks, cook, grilling, baking, grill
digging : digging, digs, dig
smoking : smoking, smokes, cigarette
talking on the phone : phone, cellphone, telephone
taking a picture : taking a picture, takes a picture, taking pictures, photographing, takes pictures, taking
    photographs, taking a photo, takes a photo, taking photos
kissing : kissing, kisses, kiss
hugging : hugging, hugs, hug, embrace, embracing
hiking : hiking, hikes, hike, hiker, hikers, trekking
posing for a photo : posing, poses, pose, posed
racing : racing, races, race, racers, racer
splashing : splashing, splashes, splash
throwing : throwing, throws, throw, tossing, tosses
kicking : kicking, kicks, kick
catching : catching, catches, catch
chasing : chasing, chases, chase, chased
climbing : climbing, climbs, climb, climber
crawling : crawling, crawls, crawl
jumping : jumping, jumps, jump, leaping, leaps, leap, midair, leapt, hopping, mid air
pulling : pulling, pulls, tug, tugging
pushing : pushing, pushes, push
lying down : lying, lies, laying, lays, lay, lie
laughing : laughing, laughs, laugh
running : running, runs, run, runner, sprinting, jogging, ran, jogs, runners
walking : walking, walks, walk, strolling, strolls, stroll
sitting : sitting, sits, sit, seated, sat
talking : talking, talks, talk, chatting, conversation
standing : standing, stands, stand, stood
playing : playing, plays, play, played
"""
_PLACES = """
on a beach : beach, seashore, seaside, beachfront, shore of the ocean, beachside
at a swimming pool : swimming pool, pool, poolside, wading pool, kiddie pool, paddling pool
in the snow : snow, snowy, snowbank, snowdrift
at a skate park : skate park, skatepark, half pipe, skateboard park, skate ramp, halfpipe, skateboard ramp
at a playground : playground, jungle gym, swing set, monkey bars, playset
on a stage : stage, onstage, concert
in a stadium : stadium, arena, ballpark
on a court : court, basketball court, tennis court
on a race track : racetrack, race track, track, speedway, race course
in the desert : desert, dune, dunes, sand dune
in a forest : forest, woods, wooded, woodland, jungle
on the ocean : ocean, sea, wave, waves, surf
on a river : river, stream, creek, rapids, canoe, waterfall
on a lake : lake, pond
in the mountains : mountain, mountains, mountainside, mountaintop, mountain top, peak
on a cliff : cliff, rock face, rock wall, cliffs
in a restaurant : restaurant, cafe, bar, diner, pub
in a kitchen : kitchen
in a store : store, shop, supermarket, mall, grocery store, market, shops
on a train : train, subway, subway train, train station, subway station
on a bridge : bridge
in a gym : gym, gymnasium, boxing ring, gymnastics
on an ice rink : rink, ice rink, skating rink
in bed : bed, bunk bed
in a park : park, amusement park
in a garden : garden, flower garden
on stairs : stairs, steps, staircase, stairway
on a bench : bench
on a street : street, road, sidewalk, city, crosswalk, intersection, downtown, parking lot, highway, streets,
    pavement, alley, curb, urban
in a yard : yard, backyard, lawn, front yard
on grass : grass, grassy, field, meadow, pasture
on a path : path, trail, dirt path, walkway
on rocks : rocks, rocky, boulder, boulders
on dirt : dirt, mud, muddy
on sand : sand, sandy
in a room : room, living room, couch, sofa, carpet, indoors, hallway, bedroom, office, indoor, bathroom, rug, floor
in the water : water
"""
# A place or action below also holds wherever the one above it on the left does: seeing both is no disagreement.
_IMPLIED = {
    "in the water": ("at a swimming pool", "on the ocean", "on a river", "on a lake", "on a beach"),
    "on sand": ("on a beach", "in the desert"),
    "on the ocean": ("on a beach",),
    "in the mountains": ("on a cliff",),
    "on rocks": ("on a cliff", "in the mountains"),
    "on grass": ("in a yard", "in a park", "in a stadium", "in a garden"),
    "on dirt": ("on a race track", "on a path"),
    "on a path": ("in a forest",),
    "in a park": ("at a playground", "at a skate park"),
    "climbing": ("rock climbing",),
    "splashing": ("swimming", "wading"),
    "playing": ("playing soccer", "playing football", "playing basketball", "playing baseball", "playing tennis",
                "playing volleyball", "playing hockey", "playing golf", "playing rugby", "playing frisbee",
                "playing music", "splashing", "wrestling", "chasing", "running", "jumping", "swinging", "sliding"),
    "sitting": ("eating", "drinking", "reading", "talking", "playing music", "fishing", "smoking", "swinging",
                "paddling a boat", "talking on the phone", "taking a picture", "painting", "posing for a photo"),
    "standing": ("eating", "drinking", "reading", "talking", "playing music", "fishing", "smoking", "wading", "cooking",
                 "talking on the phone", "taking a picture", "painting", "posing for a photo"),
    "running": ("chasing", "racing", "playing soccer", "playing football", "playing rugby", "playing frisbee",
                "playing baseball", "playing tennis"),
    "jumping": ("skateboarding", "snowboarding", "skiing", "bouncing on a trampoline", "riding a bicycle", "diving",
                "riding a motorcycle", "playing frisbee", "playing basketball", "catching", "roller skating", "dancing",
                "playing soccer", "playing volleyball", "playing football"),
    "catching": ("playing frisbee", "playing football", "playing baseball"),
    "kicking": ("playing soccer", "playing football"),
    "throwing": ("playing baseball", "playing football", "playing frisbee"),
    "walking": ("hiking", "wading"),
    "racing": ("riding a bicycle", "riding a motorcycle", "riding a horse"),
    "skiing": ("water skiing",),
}  # fmt: skip


def _read_answers(text: str) -> dict[str, frozenset[tuple[str, ...]]]:
    lines = (line.split(":") for line in _entries(text))
    return {answer.strip(): frozenset(tuple(w.split()) for w in words.split(",")) for answer, words in lines}


_ACTION_WORDS, _PLACE_WORDS = _read_answers(_ACTIONS), _read_answers(_PLACES)
ACTIONS, PLACES = tuple(_ACTION_WORDS), tuple(_PLACE_WORDS)


def _agreed_answer(photo: _Photo, words: Mapping[str, frozenset[tuple[str, ...]]]) -> str | None:
    """The one answer that two captions tell of, or the one that implies all others; None if several stand beside it."""
    told = {answer for answer, phrases in words.items() if photo.tellings(phrases) >= 2}
    special = {a for a in told if not any(b in told for b in _IMPLIED.get(a, ()))}
    return special.pop() if len(special) == 1 else None


def _actor(photo: _Photo) -> str | None:
    """"the dog", "the man" ...: whom the first words of most captions name, in the singular."""
    first = Counter((ms[0].term, ms[0].plural) for ms in photo.mentions if ms)
    (term, plural), n = first.most_common(1)[0] if first else (("", False), 0)
    known = ("dog", "man", "woman", "boy", "girl", "child", "person", "horse", "bird", "baby")
    return f"the {term}" if n >= 2 and not plural and term in known else None


def _action(photos: Sequence[_Photo]) -> list[_Fact]:
    facts = []
    for i, photo in enumerate(photos):
        if answer := _agreed_answer(photo, _ACTION_WORDS):
            who = _actor(photo)
            facts.append(_Fact(i, answer, answer, {"who": who or ""}, (_ACTION if who else ()) + _HAPPENING))
    return facts


def _where(photos: Sequence[_Photo]) -> list[_Fact]:
    answers = ((i, _agreed_answer(photo, _PLACE_WORDS)) for i, photo in enumerate(photos))
    return [_Fact(i, answer, answer, {}, _WHERE) for i, answer in answers if answer]


# ---- the questions

CANDIDATES: dict[Kind, tuple[str, ...]] = {
    "presence": ("yes", "no"), "colour": COLOURS, "count": COUNTS, "action": ACTIONS, "where": PLACES,
}  # fmt: skip


def _facts(photos: Sequence[_Photo], kind: Kind, random: Random) -> list[_Fact]:
    makers: dict[Kind, Callable[[], list[_Fact]]] = {
        "presence": lambda: _presence(photos, None, random),
        "colour": lambda: _colour(photos, agreeing=1),
        "count": lambda: _count(photos),
        "action": lambda: _action(photos),
        "where": lambda: _where(photos),
    }
    return makers[kind]()


def training_questions(captions: Sequence[Sequence[str]], seed: int) -> list[Question]:
    """All questions the captions of each photo support, of every kind, in varied wordings (British and American).

    `captions[i]` are the captions of photo `i`, two at least for any question to be asked. Presence is balanced per
    object, "one" is at most twice as frequent as "two", and the rest is as frequent as the captions make it. The same
    captions and seed give the same list.
    """
    photos, questions = _read(captions), []
    for kind in KINDS:
        random = Random(f"{seed} {kind}")
        facts = _facts(photos, kind, random)
        if kind == "colour":  # the careful ones alone are so few that they would be learned by heart
            facts += _loose_colours(photos)
        if kind == "count":  # three in four photos show one: left as they are, "one" would be all that is learned
            facts = _share_limited(facts, 2 * sum(f.answer == "two" for f in facts), random)
        for fact in facts:
            questions.append(fact.worded(kind, CANDIDATES[kind], random.choice(fact.templates)))
    return questions


def _share_limited(facts: Sequence[_Fact], most: int, random: Random) -> list[_Fact]:
    """At most `most` facts of each answer, drawn at random, in their first order."""
    kept = set[int]()
    for answer in sorted({f.answer for f in facts}):
        numbers = [i for i, f in enumerate(facts) if f.answer == answer]
        kept |= set(random.sample(numbers, min(most, len(numbers))))
    return [facts[i] for i in sorted(kept)]


def evaluation_questions(
    captions: Sequence[Sequence[str]], kind: Kind, seed: int, most: int | None = None
) -> list[Question]:
    """Questions of one kind in its canonical wording, balanced as far as the captions allow.

    Presence: yes and no equally often for every object, hard negatives, at most `most` photos of either (default 50).
    Other kinds: at most `most` questions of each answer (default: an eighth of the photos), so that none prevails.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    random, photos = Random(f"{seed} {kind}"), _read(captions)
    if kind == "presence":
        facts = _presence(photos, most or 50, random)
    else:
        facts = _share_limited(_facts(photos, kind, random), most or max(1, len(photos) // 8), random)
    return [fact.worded(kind, CANDIDATES[kind], fact.templates[0]) for fact in facts]


# ---- DAQUAR

_DAQUAR_NUMBERS = {str(n): word for word, n in _NUMERALS.items()} | {"0": "zero"}
_DAQUAR_WORDS = {"gray": "grey", "refridgerator": "refrigerator", "excercise": "exercise"}


def _daquar_kind(question: str) -> str:
    if re.match(r"how man", question):
        return "count"
    return "colour" if re.search(r"\bcolou?rs?\b", question) else "object"


def _daquar_text(question: str) -> str:
    """"what is  on the table in the image1" -> "What is on the table?"."""
    words = re.sub(r"[^a-z0-9' ]", " ", question.lower().replace("whats", "what is").replace("what's", "what is"))
    words = re.sub(r"^how man\b", "how many", " ".join(words.split()))
    words = re.sub(r" (in|of) (the|this) (image|picture|photo|figure) ?\d*$", "", words)
    return f"{words[:1].upper()}{words[1:]}?"


def _daquar_answer(answer: str) -> str:
    """Spelled out and joined: "2" -> "two", "book, lamp" -> "book and lamp"."""
    parts = [" ".join(_DAQUAR_WORDS.get(w, w) for w in part.split()) for part in answer.lower().split(",")]
    parts = [_DAQUAR_NUMBERS.get(part, part) for part in parts if part]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def daquar_questions(rows: Iterable[Mapping[str, str]], photos: Sequence[str]) -> list[Question]:
    """DAQUAR's rows ("file", "question", "answer") as questions; rows whose file is not in `photos` are left out.

    Kinds: "count", "colour", and "object" for the rest. Candidates are all answers of that kind in `rows`, so pass the
    whole file and choose the split with `photos` (Malinowski and Fritz, arXiv:1410.0210, split by question).
    """
    read = [(r["file"], _daquar_kind(r["question"].lower()), _daquar_text(r["question"]), _daquar_answer(r["answer"]))
            for r in rows]  # fmt: skip
    kinds = {kind for _, kind, _, _ in read}
    candidates = {kind: tuple(sorted({a for _, k, _, a in read if k == kind})) for kind in kinds}
    number = {file: i for i, file in enumerate(photos)}
    return [Question(number[f], kind, text, a, candidates[kind]) for f, kind, text, a in read if f in number]
